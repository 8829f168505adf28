"""What a transcript is made of: entries, and the pieces of text that are appended to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.ui.console.ansi import Run


class EntryKind(StrEnum):
    """What an entry tells of; each kind has its own look."""

    TURN = "turn"
    PROMPT = "prompt"
    WORDS = "words"
    THOUGHT = "thought"
    COMMAND = "command"
    NOTE = "note"
    TROUBLE = "trouble"


class Role(StrEnum):
    """The part of an entry a piece belongs to. A BODY of a folding entry is hidden while it is folded."""

    HEAD = "head"
    ASIDE = "aside"
    """In the line of the head, dimmed."""
    BODY = "body"
    OUTPUT = "output"
    END = "end"


class Progress(StrEnum):
    """How a command stands."""

    NONE = ""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Entry:
    """One thing that happened. ``progress`` and ``folded`` change while it is shown."""

    kind: EntryKind
    at: datetime
    title: str = ""
    folds: bool = False
    folded: bool = False
    progress: Progress = Progress.NONE


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to append. ``fresh`` begins a new line; without it the text goes on where the last one ended."""

    entry: Entry
    role: Role
    runs: tuple[Run, ...]
    fresh: bool = True

    @property
    def text(self) -> str:
        """The words, without their look."""
        return "".join(run.text for run in self.runs)


def piece(entry: Entry, role: Role, text: str, *, fresh: bool = True) -> Piece:
    """A piece of one look."""
    return Piece(entry, role, (Run(text),), fresh)
