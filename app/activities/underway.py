"""Steps under way in this engine. They are the member's, not the try's: Temporal may give up on a try that still works.

The next try of such a step then waits for the one it finds here, instead of doing the same beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from temporalio import activity

from app.activities.playing import is_given_up

T = TypeVar("T")


class Underway:
    """The steps of one agent, by name; several calls of one reply are at work at the same time."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._cut: set[str] = set()
        self._working = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def busy(self) -> bool:
        """Whether any step is under way."""
        return any(not task.done() for task in self._tasks.values())

    async def join(self, name: str, begin: Callable[[], Awaitable[T]]) -> T:
        """The outcome of a step, begun when it is not under way. A cancelled caller cancels it, unless given up on."""
        task = self._tasks.get(name)
        if task is None or task.done():
            task = self._tasks[name] = asyncio.ensure_future(begin())
            task.add_done_callback(lambda done: self._over(name, done))
        try:
            outcome: T = await asyncio.shield(task)
        except asyncio.CancelledError:
            if not is_given_up():
                if not activity.is_worker_shutdown():
                    self._cut.add(name)
                task.cancel()
                await asyncio.wait([task])
            raise
        return outcome

    def is_cut(self, name: str) -> bool:
        """Whether somebody wanted that step to end; the end of an engine is no such wish."""
        return name in self._cut

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Within: something happens in the machine; one that waits for leave is not at work."""
        self._working += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._working -= 1
            if not self._working:
                self._quiet.set()

    async def quiet(self) -> None:
        """Return when nothing is at work."""
        await self._quiet.wait()

    async def drop(self) -> None:
        """Wait for no step any longer; what they do in the machine goes on."""
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _over(self, name: str, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
            self._cut.discard(name)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may be left
