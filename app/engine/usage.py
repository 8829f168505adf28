"""Measures what every running machine takes of this host, every few seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from app.domain.errors import SkerryError
from app.domain.machines import MachineUsage
from app.domain.ports import SandboxHost
from app.store.usage import UsageSample, UsageTable

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 5.0

Tending = Callable[[str], Awaitable[object]]
"""Small regular work on a running machine, by name."""


class UsageSampler:
    """Puts figures into the table until it is cancelled; ``tending`` is done on the way."""

    def __init__(self, host: SandboxHost, table: UsageTable, tending: Sequence[Tending] = ()) -> None:
        self._host = host
        self._table = table
        self._tending = tending
        self._last: dict[str, tuple[float, float]] = {}
        self._troubled = False

    async def run(self) -> None:
        """Measure for ever; a host that fails is asked again."""
        while True:
            try:
                await self.sample()
                self._troubled = False
            except Exception as error:  # a figure is not worth an engine; the next look may succeed
                if not self._troubled:
                    words = "machines could not be measured: %s"
                    log.warning(words, error, exc_info=not isinstance(error, SkerryError))
                self._troubled = True
            await asyncio.sleep(SAMPLE_SECONDS)

    async def sample(self) -> None:
        """Measure every running machine once."""
        samples = []
        names = await self._host.names()
        for name in names:
            usage = await self._host.usage(name)
            if usage is not None:
                samples.append(self._sample(name, usage))
            for tend in self._tending:
                await tend(name)
        self._last = {name: last for name, last in self._last.items() if name in names}
        if samples:
            await asyncio.to_thread(self._table.put, samples, datetime.now(UTC))

    def _sample(self, name: str, usage: MachineUsage) -> UsageSample:
        now = time.monotonic()
        percent = None
        if name in self._last:
            then, seconds = self._last[name]
            used = usage.cpu_seconds - seconds  # less than nothing: the machine was started again
            percent = round(100 * used / (now - then), 1) if used >= 0 and now > then else None
        self._last[name] = (now, usage.cpu_seconds)
        return UsageSample(name, datetime.now(UTC), percent, usage.memory_bytes, usage.disk_bytes)


@asynccontextmanager
async def measuring(sampler: UsageSampler) -> AsyncIterator[None]:
    """Within: machines are measured."""
    task = asyncio.create_task(sampler.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            log.error("measuring machines had ended", exc_info=task.exception())
