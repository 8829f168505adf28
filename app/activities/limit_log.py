"""Limits an agent's machine came to become facts, at most one a minute for each, with how often it happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.events import LimitName
from app.domain.machines import Notice

QUIET_SECONDS = 60.0

Record = Callable[[Notice, int], None]
"""Told a notice, and how often it came since the last."""


@dataclass(slots=True)
class _Since:
    timer: asyncio.TimerHandle
    count: int = 0
    last: Notice | None = None


class LimitLog:
    """The notices of one agent's machine. Used on the event loop."""

    def __init__(self, record: Record, *, quiet: float = QUIET_SECONDS) -> None:
        self._record = record
        self._quiet = quiet
        self._since: dict[LimitName, _Since] = {}

    def notify(self, notice: Notice) -> None:
        """Record it at once, or with others of the same limit when a minute is over."""
        since = self._since.get(notice.limit)
        if since is not None:
            since.count, since.last = since.count + 1, notice
            return
        self._record(notice, 1)
        self._begin(notice.limit)

    def close(self) -> None:
        """Record what is held back, now."""
        for since in self._since.values():
            since.timer.cancel()
            self._tell(since)
        self._since.clear()

    def _begin(self, limit: LimitName) -> None:
        timer = asyncio.get_running_loop().call_later(self._quiet, self._minute_is_over, limit)
        self._since[limit] = _Since(timer)

    def _minute_is_over(self, limit: LimitName) -> None:
        since = self._since.pop(limit)
        if self._tell(since):
            self._begin(limit)

    def _tell(self, since: _Since) -> bool:
        if since.last is None:
            return False
        self._record(since.last, since.count)
        return True
