"""A terminal in a machine; what somebody who wants one says first, and the messages that follow."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Columns = Field(default=80, ge=1, le=10_000)
Rows = Field(default=24, ge=1, le=10_000)


class Terminal(Protocol):
    """An interactive program in the machine behind a pseudo-terminal."""

    async def read(self) -> bytes:
        """What it wrote since; waits for some, empty at its end."""

    async def write(self, data: bytes) -> None:
        """Keys pressed; waits while the program takes none."""

    async def end_input(self) -> None:
        """No more comes; to be said of a piped one only, a person presses control-D."""

    async def resize(self, columns: int, rows: int) -> None:
        """The window has another size."""

    async def wait(self) -> int | None:
        """Exit status, or None if the channel went first."""

    async def close(self) -> None:
        """Hang up. Safe to repeat."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TerminalWish(_Message):
    """Whose machine, as whom, what, and what the person sits at."""

    fleet: str
    agent: str
    user: Literal["agent", "root"] = "agent"
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
