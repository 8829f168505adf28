"""A turn under way in this engine. It is the member's, not the try's: Temporal may give up on a try that still works.

That happens when a machine stalls for longer than ``HEARTBEAT_TIMEOUT``. The next try then goes on with the turn it
finds here, instead of giving the program its prompt a second time beside the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio import activity

from app.activities.observer import TurnRecorder
from app.domain.ports import TurnOutcome, TurnRequest


@dataclass(frozen=True, slots=True)
class Playing:
    """One turn of a program: what was asked, who listens, its end to come, and when it began (monotonic seconds)."""

    request: TurnRequest
    recorder: TurnRecorder
    task: asyncio.Task[TurnOutcome]
    began: float

    async def end(self, cancel: Callable[[], Awaitable[None]], grace: float) -> None:
        """Ask the program to stop with ``cancel``, wait ``grace`` seconds, and let go of it."""
        await cancel()
        await asyncio.wait([self.task], timeout=grace)
        await self.drop()

    async def quiet(self) -> None:
        """Return when none of its tool calls is at work, or it is over."""
        waiting = asyncio.create_task(self.recorder.quiet.wait())
        try:
            await asyncio.wait([waiting, self.task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    async def drop(self) -> None:
        """Listen no longer; the program in the machine is not told."""
        self.task.cancel()
        await asyncio.wait([self.task])


def is_given_up() -> bool:
    """Whether Temporal takes this try, which was cancelled, for dead; nobody asked that the turn should end."""
    details = activity.cancellation_details()
    return details is not None and not details.cancel_requested and not details.worker_shutdown
