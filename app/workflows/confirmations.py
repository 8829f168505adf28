"""Messages that must be accepted or declined before work goes on: reminders, and the user's decisions."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain.envelope import USER, MessageRef
    from app.domain.interrupt import InterruptKind
    from app.workflows import steps
    from app.workflows.facts import Recorder
    from app.workflows.state import AgentState

ACCEPT = "Accept"
DECLINE = "Decline"
REMINDERS = 3
"""Turns an agent gets to decide after the one in which it read the message; then it is declined for it."""

_NEVER_DECIDED = f"{{}} was reminded {REMINDERS} times and neither accepted nor declined; declined by Skerry"


class Confirmations:
    """What one agent has to decide, and what it has asked the user to decide."""

    def __init__(self, order: steps.AgentOrder, state: AgentState, facts: Recorder) -> None:
        self._order = order
        self._state = state
        self._facts = facts

    def allow(self, action_id: str, reply_to: str | None = None) -> None:
        """Raise ApplicationError when something must be decided before this action; for validators."""
        state = self._state
        if state.confirms and reply_to not in state.confirms and action_id not in state.outcomes:
            ids = ", ".join(state.confirms)
            raise ApplicationError(f"first accept or decline {ids} with the tool 'confirm'", type="refused")

    async def decline_overdue(self) -> None:
        """After a turn: decline what the agent was reminded of often enough."""
        for message_id in [item for item in self._state.confirms if self._state.reminders.get(item, 0) >= REMINDERS]:
            message = self._state.received.get(message_id)
            self._state.decided(message_id)
            if message is not None:
                await self._decline(message)

    async def _decline(self, message: MessageRef) -> None:
        reply = self._reply(message)
        order = steps.DeclineOrder(
            order=self._order,
            at=workflow.now(),
            message_id=message.id,
            reply_id=reply.id,
            reason=_NEVER_DECIDED.format(self._order.agent),
        )
        await self._facts.local(steps.DECLINE_CONFIRM, order)
        self._state.outbox.append(reply)

    def ask_user(self, message: MessageRef) -> None:
        """Make an approval of a message that asks the user to confirm; the pump puts it on record."""
        item = steps.InterruptRef(
            id=f"i-{message.id.removeprefix('m-')}",
            kind=InterruptKind.APPROVAL,
            title=f"{self._order.agent} asks you to confirm: {message.subject or message.id}",
            blocking=False,
            message=message,
        )
        self._state.open[item.id] = item

    async def answer(self, message: MessageRef, answer: steps.AnswerOrder) -> MessageRef:
        """The user has decided: the reply to the asker, which is this agent itself."""
        reply = self._reply(message)
        order = steps.ConfirmOrder(
            order=self._order,
            at=workflow.now(),
            message_id=message.id,
            reply_id=reply.id,
            body=answer.body,
            decision="accept" if answer.option == ACCEPT and answer.action == "resume" else "decline",
        )
        await self._facts.local(steps.ANSWER_CONFIRM, order)
        return reply

    def _reply(self, message: MessageRef) -> MessageRef:
        subject = message.subject if message.subject.startswith("Re: ") else f"Re: {message.subject}".strip()
        return MessageRef(
            id=f"m-{workflow.uuid4().hex[:12]}",
            sender=message.recipient,
            recipient=message.sender,
            subject=subject,
            reply_to=message.id,
            correlation_id=message.correlation_id or message.id,
            kind="reply",
        )


def asks_user(item: steps.InterruptRef) -> bool:
    """Whether the interrupt is a message that the user has to confirm."""
    return item.message is not None and item.message.recipient == USER
