"""What somebody who wants a terminal in a machine says first, and the messages that follow."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from app.domain.ports import GuestUser

Columns = Field(default=80, ge=1, le=10_000)
Rows = Field(default=24, ge=1, le=10_000)


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TerminalWish(_Message):
    """Whose machine, as whom, what, and what the person sits at."""

    fleet: str
    agent: str
    user: GuestUser = "agent"
    command: str = ""
    """For bash; empty: a login shell."""
    columns: int = Columns
    rows: int = Rows
    term: str = "xterm-256color"
    piped: bool = False
    """Plain pipes, no pseudo-terminal."""


class WindowSize(_Message):
    """In characters."""

    columns: int = Columns
    rows: int = Rows


class FromPerson(_Message):
    """The window's new size, or that no more keys come."""

    resize: WindowSize | None = None
    end: bool = False


class ToPerson(_Message):
    """How it ended: with the program's exit status, or with an error, its code and its remedy."""

    exit: int | None = None
    error: str = ""
    hint: str = ""
    code: str = ""
