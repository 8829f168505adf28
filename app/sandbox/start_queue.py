"""Lets as many machines start at the same time as there are processors; the others wait their turn.

A machine that starts keeps one processor busy until it is ready. Six at once on two processors are all ready after
three seconds; two by two, the last is ready a little sooner and the first after one (docs/benchmarks.md).
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 30.0
"""After so long a wait a machine starts anyway: one that hangs must not hold up the others."""

log = logging.getLogger(__name__)


class StartQueue:
    """``places`` machines start at a time; by default one for each processor this process may use, at least two."""

    def __init__(self, places: int = 0, patience: float = PATIENCE_SECONDS) -> None:
        self._places = threading.Semaphore(places or max(2, len(os.sched_getaffinity(0))))
        self._patience = patience

    @contextlib.contextmanager
    def turn(self, tell: Callable[[], None]) -> Iterator[None]:
        """Wait for a place and keep it meanwhile; ``tell`` is called when there is none free."""
        held = self._places.acquire(blocking=False)
        if not held:
            tell()
            held = self._places.acquire(timeout=self._patience)
        if not held:
            log.warning("a machine starts out of turn: others have been starting for %d s", self._patience)
        try:
            yield
        finally:
            if held:
                self._places.release()
