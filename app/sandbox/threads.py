"""Blocking calls for asyncio, each in a thread of its own.

asyncio's own pool has a handful of threads; a command of ten minutes per agent would fill it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> asyncio.Future[T]:
    """Start the call now; the future has its result. Cancelling the future does not stop the call."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def call() -> None:
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            post(loop, _fail, future, error)
        else:
            post(loop, _finish, future, result)

    threading.Thread(target=call, name=getattr(function, "__name__", "call"), daemon=True).start()
    return future


def post(loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any) -> None:
    """Call on the loop from a thread; quietly nothing when the loop is gone."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *args)


def _finish(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
