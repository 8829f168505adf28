"""The long steps of an agent's life, as activities that a stop or a reset cuts and a pause does not."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from app.workflows import steps
    from app.workflows.machine import MachineHold
    from app.workflows.state import AgentState


class CancellableWork:
    """Runs the steps of one agent, one after the other."""

    def __init__(self, state: AgentState, hold: MachineHold) -> None:
        self._state = state
        self._hold = hold

    async def do(
        self,
        name: str,
        order: object,
        result: type | None,
        timeout: timedelta,
        *,
        until_reset: bool = False,
        summary: str = "",
    ) -> object:
        """Run an activity; a stop order cancels it (a reset or a cut: those that say so). Waits until it is over.

        None when it was cancelled. One that failed because its machine stood still is run again. Raises ActivityError.
        """
        state = self._state
        while True:
            handle = started(name, order, result, timeout, summary)
            await workflow.wait_condition(partial(self._settled, handle, until_reset))
            if not handle.done():
                await self._hold.let_die()
                handle.cancel()
            try:
                return await handle
            except ActivityError:
                if state.stop or (until_reset and self._to_be_cut()):
                    return None
                if state.pause != "now":
                    raise
            await workflow.wait_condition(lambda: state.pause != "now" or bool(state.stop))

    def _settled(self, handle: workflow.ActivityHandle[object], until_reset: bool) -> bool:
        return handle.done() or bool(self._state.stop) or (until_reset and self._to_be_cut())

    def _to_be_cut(self) -> bool:
        state = self._state
        return bool(state.reset or state.cut or state.cancel)


def started(
    name: str, order: object, result: type | None, timeout: timedelta, summary: str = ""
) -> workflow.ActivityHandle[object]:
    """An activity under way; ``summary`` is shown in Temporal's window. Awaiting it raises ActivityError."""
    handle: workflow.ActivityHandle[object] = workflow.start_activity(
        name,
        order,
        result_type=result,
        start_to_close_timeout=timeout,
        heartbeat_timeout=steps.HEARTBEAT_TIMEOUT,
        retry_policy=steps.STEP_RETRY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary=summary or None,
    )
    return handle
