"""One turn of an agent: in a single long step when a program takes it, step by step when we ask the model ourselves."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.workflows import step_orders as so
    from app.workflows import steps
    from app.workflows.holds import Hold
    from app.workflows.state import AgentState
    from app.workflows.work import CancellableWork


class Turns:
    """Takes the turns of one agent. What a cut leaves undone is in the transcript, and found there by the next try."""

    def __init__(self, state: AgentState, work: CancellableWork) -> None:
        self._state = state
        self._work = work

    async def take(self, turn: steps.TurnOrder, plan: steps.AgentPlan) -> object:
        """How the turn ended, a ``TurnResult``; None when it was cut. Raises ActivityError."""
        if plan.stepwise:
            return await self._step_by_step(turn)
        summary = f"turn {turn.turn}: {self._state.doing}"
        return await self._do(steps.RUN_TURN, turn, steps.TurnResult, steps.TURN_TIMEOUT, summary)

    async def _step_by_step(self, turn: steps.TurnOrder) -> steps.TurnResult | None:
        done = 0
        while True:
            await self._not_paused()
            if workflow.info().is_continue_as_new_suggested():
                self._state.resuming = turn  # the history is long: the turn goes on in the next one
                return steps.TurnResult(stop_reason="continued", session="")
            reply = await self._ask(turn, done)
            if reply is None:
                break
            if reply.state == "held":
                return steps.TurnResult(stop_reason="held", session=reply.session, hold=reply.hold)
            if reply.state == "over":
                return steps.TurnResult(stop_reason=reply.stop_reason, session=reply.session)
            if reply.state == "too_long":
                if not await self._condense(turn, reply):
                    break
            elif reply.calls:
                await self._not_paused()
                came = await self._act(turn, reply)
                if None in came:
                    break
                hold = next((item for item in came if isinstance(item, Hold)), None)
                if hold is not None:
                    return steps.TurnResult(stop_reason="held", session=reply.session, hold=hold)
            done = reply.step
        await self._cut(turn)
        return None

    async def _ask(self, turn: steps.TurnOrder, done: int) -> so.ModelStep | None:
        order = so.StepOrder(turn=turn, step=done)
        summary = f"turn {turn.turn}, model call {done + 1}"
        found = await self._do(so.MODEL_STEP, order, so.ModelStep, so.MODEL_TIMEOUT, summary)
        return found if isinstance(found, so.ModelStep) else None

    async def _act(self, turn: steps.TurnOrder, reply: so.ModelStep) -> list[so.ActionDone | Hold | None]:
        """All calls of one reply at the same time; None for one that was cut."""

        async def one(call: so.CallRef) -> so.ActionDone | Hold | None:
            order = so.ActionOrder(turn=turn, step=reply.step, session=reply.session, call=call)
            summary = f"turn {turn.turn}: {call.name}"
            done = await self._do(so.ACTION_STEP, order, so.ActionDone, so.ACTION_TIMEOUT, summary)
            return (done.hold or done) if isinstance(done, so.ActionDone) else None

        return list(await asyncio.gather(*(one(call) for call in reply.calls)))

    async def _condense(self, turn: steps.TurnOrder, reply: so.ModelStep) -> bool:
        order = so.StepOrder(turn=turn, step=reply.step)
        summary = f"turn {turn.turn}: sums its conversation up"
        return await self._do(so.CONDENSE_STEP, order, so.ModelStep, so.MODEL_TIMEOUT, summary) is not None

    async def _cut(self, turn: steps.TurnOrder) -> None:
        await workflow.execute_activity(
            so.END_STEPS,
            so.EndOrder(turn=turn, stop_reason="cancelled"),
            start_to_close_timeout=so.END_TIMEOUT,
            retry_policy=steps.STEP_RETRY,
        )

    async def _not_paused(self) -> None:
        """No step begins while the machine stands still; a cut is noticed by the step that begins then."""
        state = self._state
        await workflow.wait_condition(
            lambda: state.pause != "now" or bool(state.stop or state.reset or state.cut or state.cancel)
        )

    async def _do(self, name: str, order: object, result: type, timeout: timedelta, summary: str) -> object:
        return await self._work.do(name, order, result, timeout, until_reset=True, summary=summary)
