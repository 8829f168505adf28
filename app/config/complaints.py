"""What is wrong in a file of the user: where, what was found, and the nearest word that would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from app.domain.errors import ConfigError
from app.domain.text import first_line, printable

MANY = 20


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """One mistake. ``line`` and ``column`` count from 1; ``path`` reads like ``agents[1].direct_communication[0]``."""

    file: Path
    line: int
    column: int
    path: str
    message: str
    found: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: " + (f"{self.path}: " if self.path else "")
        found = f", found {self.found}" if self.found else ""
        return printable(f"{where}{self.message}{found}" + (f"; {self.suggestion}" if self.suggestion else ""))


class ProjectInvalid(ConfigError):
    """The project's files have mistakes; ``complaints`` holds all of them, sorted by place."""

    def __init__(self, complaints: Sequence[Complaint], *, hint: str = "") -> None:
        self.complaints = tuple(sorted(complaints))
        lines = "\n".join(str(complaint) for complaint in self.complaints)
        super().__init__(lines, operation="read the project", hint=hint)

    def __str__(self) -> str:
        return self.message + (f"\n{self.hint}" if self.hint else "")


def nearest(word: str, valid: Sequence[str], *, listing: bool = True) -> str:
    """A suggestion in words: the nearest of ``valid``, else (with ``listing``) all of them when they are few."""
    near = get_close_matches(word.lower(), valid, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return "valid: " + ", ".join(valid) if listing and 0 < len(valid) <= MANY else ""


def shown(value: object) -> str:
    """A found value, short enough for one line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(first_line(value, 60))
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return first_line(str(value), 60)
