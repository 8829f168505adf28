"""A test that waits forever fails like any other: it is named, and says where it and its tasks wait.

pytest-timeout shows only that an event loop waits, so that asynchronous tests are given up a little before it. Its
signal does not get through while Qt waits: there a thread ends the whole run.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable

import pytest

_QT = ("qapp", "qtbot")
_EARLIER = 15.0
"""Seconds before pytest-timeout would end the run."""


def bounded(item: pytest.Item) -> None:
    """Give an asynchronous test up shortly before its time-out (the mark's, or the project's)."""
    if any(name in getattr(item, "fixturenames", ()) for name in _QT):
        item.add_marker(pytest.mark.timeout(_limit(item), method="thread"), append=False)
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        seconds = _limit(item) - _EARLIER
        if seconds > 0:
            item.obj = _within(item.obj, seconds)


def _limit(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0] if mark and mark.args else item.config.getini("timeout"))


def _within(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*args: object, **kwargs: object) -> None:
        running = asyncio.get_running_loop()
        tell = running.call_later(seconds - 0.1, _show_tasks)
        try:
            async with asyncio.timeout(seconds):
                await test(*args, **kwargs)
        finally:
            tell.cancel()

    return run


def _show_tasks() -> None:
    for task in asyncio.all_tasks():
        print(task.get_name(), task.get_coro(), file=sys.stderr)
        task.print_stack(limit=6, file=sys.stderr)
