"""The two sides of every measurement, ours and the floor, seen alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol, TypeVar

T = TypeVar("T")


class Guest(Protocol):
    """A machine that is up."""

    async def run(self) -> None:
        """``true`` as the agent, over the connection that is kept open; the first call may make it. Raises."""

    async def copy_in(self, folder: Path) -> None:
        """The contents of ``folder`` into the workspace."""

    async def copy_out(self, folder: Path) -> None:
        """The contents of the workspace into ``folder``."""

    async def clear(self) -> None:
        """Empty the workspace."""

    def pid(self) -> int:
        """The process of its QEMU."""

    async def end(self) -> None:
        """Machine, disk, sockets: all gone."""


class Side(Protocol):
    """Who makes machines: Skerry, or the programs below it driven by hand."""

    async def boot(self, name: str, *, cold: bool) -> Guest:
        """A new machine, personalised; ``cold`` boots a fresh disk, else it is cloned from the warm template."""


async def unbroken(work: Awaitable[T]) -> T:
    """The result of work that must not be left half done: when cancelled, wait for its end first."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
