"""Messages between turns: confirmations, those that Skerry answers for somebody, and what a cut turn did not bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from temporalio import activity

from app.domain import events as ev
from app.domain.envelope import Envelope
from app.domain.interrupt import Interrupt, InterruptKind
from app.store.journal import Journal
from app.workflows import steps
from app.workflows.confirmations import ACCEPT, DECLINE


class ConfirmationSteps:
    """What ``workflows.steps`` names of confirmations and unread messages, done. All is quick and may be done twice."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def all(self) -> Sequence[Callable[..., Any]]:
        """The activities, for a worker."""
        return (self.raise_confirm, self.decline_confirm, self.answer_confirm, self.still_unread)

    @activity.defn(name=steps.STILL_UNREAD)
    async def still_unread(self, messages: steps.Inbox) -> steps.Inbox:
        """Those messages of a turn that was cut which had not come before the model."""
        unread = (item for item in messages.message_ids if not self._journal.has(f"{item}/read"))
        return steps.Inbox(message_ids=tuple(unread))

    @activity.defn(name=steps.RAISE_CONFIRM)
    async def raise_confirm(self, order: steps.ConfirmRaise) -> None:
        """Ask the user, with the text of the message."""
        asked = self._journal.body(order.message_id, Envelope)
        interrupt = Interrupt(
            id=order.interrupt_id,
            agent=order.order.agent,
            kind=InterruptKind.APPROVAL,
            title=order.title,
            body=asked.body,
            options=(ACCEPT, DECLINE),
            default=ACCEPT,
            blocking=False,
            message_id=order.message_id,
            raised_at=order.at,
        )
        named = _named(order.order, f"{interrupt.id}/raised", order.at)
        self._journal.append(ev.InterruptRaised(**named, interrupt=interrupt))

    @activity.defn(name=steps.DECLINE_CONFIRM)
    async def decline_confirm(self, order: steps.DeclineOrder) -> None:
        """Decline in the agent's name, as it did not decide."""
        self._reply(order, "decline", f"Declined: {order.reason}")

    @activity.defn(name=steps.ANSWER_CONFIRM)
    async def answer_confirm(self, order: steps.ConfirmOrder) -> None:
        """Reply with what the user has decided, and with the words the user gave."""
        answer = self._journal.body(order.body, Interrupt).answer
        said = answer.text.strip() if answer is not None else ""
        word = "Accepted" if order.decision == "accept" else "Declined"
        self._reply(order, order.decision, f"{word}: {said}" if said else f"{word}.")

    def _reply(
        self, order: steps.DeclineOrder | steps.ConfirmOrder, decision: Literal["accept", "decline"], body: str
    ) -> None:
        asked = self._journal.body(order.message_id, Envelope)
        reply = Envelope(
            id=order.reply_id,
            sender=asked.recipient,
            recipient=asked.sender,
            kind="reply",
            subject=asked.subject if asked.subject.startswith("Re: ") else f"Re: {asked.subject}".strip(),
            body=body,
            data={"decision": decision},
            reply_to=asked.id,
            correlation_id=asked.correlation_id or asked.id,
            sent_at=order.at,
        )
        self._journal.put_body(reply.id, reply)
        self._journal.append(ev.MessageAccepted(**_named(order.order, f"{reply.id}/taken", order.at), envelope=reply))


def _named(order: steps.AgentOrder, name: str, at: datetime) -> dict[str, Any]:
    return {"id": name, "at": at, "fleet": order.fleet, "run": order.run, "agent": order.agent}
