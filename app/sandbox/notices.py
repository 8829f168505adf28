"""What machines tell unasked, on its way to who wants to know it.

A machine may have been taken over: its words are parsed strictly, cut, cleaned, and there are only so many of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import get_args

from app.domain.events import LimitName
from app.domain.machines import Notice, Notify, unheard

_BURST = 4
_SECONDS_EACH = 10.0
_WORDS = 300
_LIMITS: Mapping[object, LimitName] = {name: name for name in get_args(LimitName)}


class Notices:
    """Who hears of which machine. Safe to use from many threads."""

    def __init__(self) -> None:
        self._listeners: dict[str, Notify] = {}

    def listen(self, machine: str, notify: Notify) -> None:
        """From now on ``notify`` hears of the machine, in whatever thread the news comes; the last one counts."""
        self._listeners[machine] = notify

    def forget(self, machine: str) -> None:
        """Nobody wants to know any more. No error when nobody did."""
        self._listeners.pop(machine, None)

    def tell(self, machine: str, notice: Notice) -> None:
        """What this host itself knows of the machine."""
        self._listeners.get(machine, unheard)(notice)

    def ear(self, machine: str) -> Callable[[Mapping[str, object]], None]:
        """Takes the events of a machine's control port."""
        allowances = {limit: _Allowance() for limit in _LIMITS}

        def hear(event: Mapping[str, object]) -> None:
            notice = notice_of(event)
            if notice is not None and allowances[notice.limit].take():
                self.tell(machine, notice)

        return hear


def notice_of(event: Mapping[str, object]) -> Notice | None:
    """The notice in an event of a machine; None when it is none, or is not what our guest agent would say."""
    limit, detail = event.get("limit"), event.get("detail")
    if event.get("event") != "limit" or not isinstance(limit, str) or not isinstance(detail, str):
        return None
    if limit not in _LIMITS or not detail:
        return None
    words = "".join(letter if letter.isprintable() else " " for letter in detail[:_WORDS])
    return Notice(_LIMITS[limit], words)


class _Allowance:
    """A few at once, then one every ten seconds, of each kind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left, self._since = float(_BURST), time.monotonic()

    def take(self) -> bool:
        with self._lock:
            now = time.monotonic()
            self._left = min(_BURST, self._left + (now - self._since) / _SECONDS_EACH)
            self._since = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
