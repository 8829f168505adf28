"""One asyncio loop in a thread beside Qt's; results come back by queued signals, in the window's thread."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot

from app.domain.errors import SkerryError

T = TypeVar("T")
log = logging.getLogger(__name__)
_GOODBYE_SECONDS = 5.0


@dataclass(slots=True)
class _Call(Generic[T]):
    on_done: Callable[[T], None] | None
    on_error: Callable[[SkerryError], None] | None
    future: Future[T] | None = None


class Bridge(QObject):
    """Runs coroutines off the window's thread. ``told`` carries words of progress from any thread."""

    told = Signal(str)
    _finished = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loop = asyncio.new_event_loop()
        self._open = True
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=self._run, name="skerry-ui-asyncio", daemon=True)
        self._thread.start()

    def submit(
        self,
        work: Coroutine[Any, Any, T],
        on_done: Callable[[T], None] | None = None,
        on_error: Callable[[SkerryError], None] | None = None,
    ) -> None:
        """Run ``work``; exactly one of the two is called later, in the window's thread, unless the bridge closes."""
        if not self._open:
            work.close()
            return
        call = _Call(on_done, on_error)
        call.future = asyncio.run_coroutine_threadsafe(work, self._loop)
        call.future.add_done_callback(lambda _future: self._hand_over(call))

    def tell(self, text: str) -> None:
        """Pass on words of progress; safe from any thread."""
        if self._open:
            self.told.emit(text)

    def close(self, farewell: Callable[[], Awaitable[None]] | None = None) -> None:
        """Cancel what runs, say ``farewell`` on the loop, end the thread. Waits some seconds at most."""
        if not self._open:
            return
        self._open = False
        ending = asyncio.run_coroutine_threadsafe(self._end(farewell), self._loop)
        try:
            ending.result(_GOODBYE_SECONDS)
        except Exception:
            log.warning("the connection to the engine did not close in order", exc_info=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GOODBYE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _end(self, farewell: Callable[[], Awaitable[None]] | None) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if farewell is not None:
            await farewell()

    def _hand_over(self, call: _Call[Any]) -> None:
        if self._open:
            self._finished.emit(call)

    @Slot(object)
    def _deliver(self, call: _Call[Any]) -> None:
        if not self._open or call.future is None or call.future.cancelled():
            return
        error = call.future.exception()
        if error is None:
            if call.on_done is not None:
                call.on_done(call.future.result())
        elif call.on_error is not None:
            call.on_error(_for_people(error))


def _for_people(error: BaseException) -> SkerryError:
    """Our own errors as they are; anything else is a fault of ours, logged whole and told in one line."""
    if isinstance(error, SkerryError):
        return error
    log.error("a command of the window failed", exc_info=error)
    return SkerryError(f"{type(error).__name__}: {error}", hint="the log has the details")
