"""Follows the journal and folds its facts into the board, a little in every frame."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from app.domain.board import Board
from app.domain.errors import JournalError
from app.domain.events import Event, RunEnded, RunStarted

log = logging.getLogger(__name__)

POLL_MS = 50
BUSY_MS = 8
"""Between two frames while facts are still waiting: leaves the window time to paint and to listen."""
BUDGET_SECONDS = 0.005
_SMALLEST, _LARGEST = 8, 512
_RETRY_POLLS = 10


class Facts(Protocol):
    """A followed journal; ``app.store.journal.JournalReader`` fits."""

    def changed(self) -> bool:
        """Whether facts may have come since the last call."""

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Facts above ``after``, oldest first."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What one frame brought: the board as it is now, and the facts of this fleet that made it so."""

    board: Board
    events: tuple[Event, ...]
    restarted: bool
    """A new run began within these facts: what was shown of the one before is gone."""


class JournalFeed(QObject):
    """Emits ``advanced`` once a frame when there was something new."""

    advanced = Signal(object)
    trouble = Signal(str)
    """The journal cannot be read now, in words; empty when it can again."""

    def __init__(
        self, facts: Facts, fleet: str, parent: QObject | None = None, timer: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(parent)
        self.board = Board(fleet)
        self.ended_at: datetime | None = None
        self._facts = facts
        self._clock = timer
        self._after = 0
        self._limit = 64
        self._behind = False
        self._troubled = ""
        self._wait = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.poll)

    @property
    def caught_up(self) -> bool:
        """Whether everything the journal held at the last look is on the board."""
        return not self._behind

    def start(self) -> None:
        """Begin to follow."""
        self._timer.start(POLL_MS)
        self.poll()

    def stop(self) -> None:
        """Follow no longer and let go of the file."""
        self._timer.stop()
        self._facts.close()

    def poll(self) -> None:
        """Take in what is new, for at most about ``BUDGET_SECONDS``."""
        if self._wait > 0:
            self._wait -= 1
            return
        try:
            if not self._facts.changed() and not self._behind:
                return
            events = self._take_in()
        except (JournalError, sqlite3.Error) as error:
            self._fail(error)
            return
        self._recover()
        self._timer.setInterval(BUSY_MS if self._behind else POLL_MS)
        if events:
            restarted = any(isinstance(event, RunStarted) for event in events)
            self.advanced.emit(Advance(self.board, tuple(events), restarted))

    def _take_in(self) -> list[Event]:
        begin = self._clock()
        taken: list[Event] = []
        self._behind = True
        while self._clock() - begin < BUDGET_SECONDS:
            batch_begin = self._clock()
            batch = self._facts.read(self._after, self._limit)
            for seq, event in batch:
                self._after = seq
                if self._apply(event):
                    if isinstance(event, RunStarted):
                        taken.clear()
                    taken.append(event)
            self._adapt(self._clock() - batch_begin)
            if not batch:
                self._behind = False
                break
        return taken

    def _apply(self, event: Event) -> bool:
        if not self.board.apply(event):
            return False
        if isinstance(event, RunStarted | RunEnded):
            self.ended_at = event.at if isinstance(event, RunEnded) else None
        return True

    def _adapt(self, seconds: float) -> None:
        """One read shall cost about a quarter of the budget, whatever the facts weigh."""
        if seconds > BUDGET_SECONDS / 2:
            self._limit = max(_SMALLEST, self._limit // 2)
        elif seconds < BUDGET_SECONDS / 4:
            self._limit = min(_LARGEST, self._limit * 2)

    def _fail(self, error: Exception) -> None:
        self._behind = True
        self._wait = _RETRY_POLLS
        if str(error) != self._troubled:
            log.warning("the journal cannot be read: %s", error)
            self._troubled = str(error)
            self.trouble.emit(f"The journal cannot be read: {error}")

    def _recover(self) -> None:
        if self._troubled:
            self._troubled = ""
            self.trouble.emit("")
