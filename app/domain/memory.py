"""What is told of a change to an agent's memory file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.merge import Conflict

Author = Literal["agent", "user", "skerry"]
ChangeKind = Literal["append", "replace", "edit", "remove", "merge", "restore", "import"]

MAX_MEMORY_BYTES = 1_048_576
"""What an agent may let its memory grow to."""

MAX_NOTE_BYTES = 131_072
MAX_FILE_BYTES = 16 * 1_048_576
"""What is read of a file that a person has put there."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed a memory, how and why. ``id``: the same change again is not made again."""

    author: Author
    action: ChangeKind
    heading: str = ""
    why: str = ""
    run: str = ""
    turn: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of a memory file, numbered from 1. ``origin`` names the memory it was imported from."""

    number: int
    at: datetime
    change: Change
    size: int
    sha256: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A merge in which a person and the agent had rewritten the same lines: both versions are in the file."""

    revision: int
    conflicts: tuple[Conflict, ...]
