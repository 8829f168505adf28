"""Questions that are asked for a while only: when nobody answers in time, the agent goes on without."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.workflows import steps
    from app.workflows.facts import Recorder
    from app.workflows.state import AgentState

_NEVER = datetime.max.replace(tzinfo=UTC)


class Deadlines:
    """Settles one agent's questions when their time is up. On the side, like ``Waits``."""

    def __init__(self, order: steps.AgentOrder, state: AgentState, facts: Recorder) -> None:
        self._order = order
        self._state = state
        self._facts = facts
        self._over = False
        self.idle = True
        """Whether none is just being settled."""

    async def run(self) -> None:
        """Watch ``state.open`` until ``close``."""
        while not self._over:
            item = self._next()
            if item is None or not await self._is_due(item):
                await workflow.wait_condition(lambda: self._over or self._next() is not None)
            elif not self._over:
                await self._expire(item)

    def close(self) -> None:
        """Watch no longer."""
        self._over = True

    async def _is_due(self, item: steps.InterruptRef) -> bool:
        """Wait for the time of ``item``; False when it was settled before, or another one's comes sooner."""
        left = (item.expires_at or _NEVER) - workflow.now()
        if left <= timedelta():
            return True
        try:
            await workflow.wait_condition(lambda: self._over or self._next() != item, timeout=left)
        except TimeoutError:
            return True
        return False

    async def _expire(self, item: steps.InterruptRef) -> None:
        self.idle = False
        self._state.settle(item.id)
        body = f"answer/{item.id}/expired"
        order = steps.ExpireOrder(order=self._order, at=workflow.now(), interrupt_id=item.id, body=body)
        await self._facts.local(steps.EXPIRE_INTERRUPT, order)
        self._state.answers.append(body)
        self.idle = True

    def _next(self) -> steps.InterruptRef | None:
        """The open one whose time is up first. One about a message goes with that."""
        timed = [item for item in self._state.open.values() if item.expires_at is not None and item.message is None]
        return min(timed, key=lambda item: (item.expires_at or _NEVER, item.id), default=None)
