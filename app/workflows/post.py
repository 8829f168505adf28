"""What becomes of a message an agent wants to send: passed on, held for the user, or refused."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.domain.envelope import USER, MessageRef, MessageState
    from app.domain.interrupt import Interrupt, InterruptKind
    from app.workflows import steps
    from app.workflows.facts import Recorder
    from app.workflows.state import AgentState

DELIVER_ONCE = "Deliver once"
REFUSE = "Refuse"


class Post:
    """One agent's outgoing messages."""

    def __init__(
        self,
        order: steps.AgentOrder,
        state: AgentState,
        facts: Recorder,
        *,
        plan: steps.AgentPlan,
        team: frozenset[str],
    ) -> None:
        self._order = order
        self._state = state
        self._facts = facts
        self._plan = plan
        self._team = team

    async def send(self, message: MessageRef) -> steps.ActionOutcome:
        """Decide on a message of this agent and act on it; what the agent is told."""
        verdict = self._state.judge(message, self._plan, self._team)
        if verdict == "direct":
            return await self._pass_on(message)
        if verdict == "ask":
            return await self._hold(message)
        reason = verdict
        if verdict == "deny":
            allowed = ", ".join((*self._plan.recipients, USER))
            reason = f"you may not write to {message.recipient}; you may write to: {allowed}"
        await self._facts.message(message.id, MessageState.REFUSED, reason)
        return steps.ActionOutcome(ok=False, text=f"Refused: {reason}.")

    async def _pass_on(self, message: MessageRef) -> steps.ActionOutcome:
        await self._facts.message(message.id, MessageState.ACCEPTED)
        problem = await self._hand_over(message)
        if problem:
            return steps.ActionOutcome(ok=False, text=f"Refused: {problem}.")
        return steps.ActionOutcome(ok=True, text=f"Accepted as {message.id}.")

    async def _hand_over(self, message: MessageRef) -> str:
        """Bring an accepted message to its recipient; the reason in words when there is nobody to take it."""
        if message.recipient == USER:
            await self._facts.record(self._facts.moved(message.id, MessageState.DELIVERED))
            return ""
        target = steps.agent_workflow_id(self._order.fleet, message.recipient)
        try:
            await workflow.get_external_workflow_handle(target).signal("deliver", message)
        except ApplicationError as error:
            if error.non_retryable is False and "NotFound" not in str(error.type):
                raise
            reason = f"{message.recipient} has ended and reads no more messages"
            await self._facts.record(self._facts.moved(message.id, MessageState.REFUSED, reason))
            return reason
        return ""

    async def _hold(self, message: MessageRef) -> steps.ActionOutcome:
        await self._facts.message(message.id, MessageState.HELD, "waits for the user's approval")
        interrupt = Interrupt(
            id=f"i-{message.id.removeprefix('m-')}",
            agent=self._order.agent,
            kind=InterruptKind.APPROVAL,
            title=f"{self._order.agent} wants to write to {message.recipient}",
            body=f"The two have no direct communication in agents.yaml. Subject: {message.subject or '(none)'}",
            options=(DELIVER_ONCE, REFUSE),
            default=DELIVER_ONCE,
            blocking=False,
            message_id=message.id,
            raised_at=workflow.now(),
        )
        self._state.open[interrupt.id] = steps.InterruptRef(
            id=interrupt.id, kind=interrupt.kind, title=interrupt.title, blocking=False, message=message
        )
        raised = f"{interrupt.id}/raised"
        await self._facts.record(self._facts.fact(ev.InterruptRaised, fact_id=raised, interrupt=interrupt))
        text = f"Held as {message.id}: the user is asked whether {message.recipient} may get it. You need not wait."
        return steps.ActionOutcome(ok=True, text=text)

    async def decide_held(self, message: MessageRef, order: steps.AnswerOrder) -> None:
        """Deliver or refuse a message that was held, as the user answered."""
        whom = "the user" if order.by == USER else order.by
        if order.option == DELIVER_ONCE and order.action == "resume":
            await self._facts.record(self._facts.moved(message.id, MessageState.ACCEPTED, f"approved by {whom}"))
            if not await self._hand_over(message):
                return
        else:
            await self._facts.record(self._facts.moved(message.id, MessageState.REFUSED, f"refused by {whom}"))
        self._state.answers.append(order.body)
