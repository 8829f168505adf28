"""Long steps tell Temporal that they are alive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from temporalio import activity

BEAT_SECONDS = 1.0


@contextlib.asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Within: Temporal hears that this step is alive."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
