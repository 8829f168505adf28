"""How an agent's workflow puts facts on record: each named so that saying it twice records it once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.domain.envelope import MessageRef, MessageState
    from app.domain.events import Event
    from app.domain.interrupt import InterruptState
    from app.workflows import steps
    from app.workflows.state import AgentState

F = TypeVar("F", bound=ev.Fact)


class Recorder:
    """Makes facts of one agent and has them appended to the journal."""

    def __init__(self, order: steps.AgentOrder, state: AgentState) -> None:
        self._order = order
        self._state = state

    def fact(self, kind: type[F], *, fact_id: str = "", **values: object) -> F:
        """A fact of this agent, now; numbered unless it has a name of its own."""
        order = self._order
        base = {
            "id": fact_id or self._next_id(),
            "at": workflow.now(),
            "fleet": order.fleet,
            "run": order.run,
            "agent": order.agent,
        }
        return kind.model_validate(base | values)

    def moved(self, message_id: str, state: MessageState, reason: str = "") -> ev.MessageMoved:
        """A message's new state. Named by message and state: whoever says it again says the same fact."""
        name = f"{message_id}/{state.value}"
        return self.fact(ev.MessageMoved, fact_id=name, message_id=message_id, state=state, reason=reason)

    def withdrawn(self, interrupt_id: str) -> ev.InterruptSettled:
        """The asker has ended: nobody needs the answer any more."""
        name = f"{interrupt_id}/settled"
        return self.fact(ev.InterruptSettled, fact_id=name, interrupt_id=interrupt_id, state=InterruptState.WITHDRAWN)

    async def record(self, *facts: Event) -> None:
        """Append facts; they are durable when this returns."""
        if facts:
            await self.local(steps.RECORD, steps.RecordBatch(facts=facts))

    async def message(self, message_id: str, state: MessageState, reason: str = "") -> None:
        """Append that a message was taken in (or refused); its body is in the store."""
        named = self._named(f"{message_id}/taken")
        record = steps.MessageRecord(**named, message_id=message_id, state=state, reason=reason)
        await self.local(steps.RECORD_MESSAGE, record)

    async def delivered(self, messages: Sequence[MessageRef]) -> None:
        """Append that messages lie in front of their recipient; that they were accepted, should that be missing."""
        named = self._named("")
        del named["id"]
        ids = tuple(message.id for message in messages)
        await self.local(steps.RECORD_DELIVERY, steps.DeliveryRecord(**named, message_ids=ids))

    async def still_unread(self, message_ids: Sequence[str]) -> tuple[str, ...]:
        """Which of these are not on record as read."""
        inbox: steps.Inbox = await workflow.execute_local_activity(
            steps.STILL_UNREAD,
            steps.Inbox(message_ids=tuple(message_ids)),
            result_type=steps.Inbox,
            start_to_close_timeout=steps.RECORD_TIMEOUT,
            schedule_to_close_timeout=timedelta(hours=1),
        )
        return inbox.message_ids

    async def confirmation(self, item: steps.InterruptRef) -> None:
        """Append that the user is asked to confirm a message."""
        if item.message is not None:
            order = steps.ConfirmRaise(
                order=self._order,
                at=workflow.now(),
                interrupt_id=item.id,
                title=item.title,
                message_id=item.message.id,
            )
            await self.local(steps.RAISE_CONFIRM, order)

    async def interrupt(self, interrupt_id: str) -> None:
        """Append that an interrupt was raised; the store has its text."""
        named = self._named(f"{interrupt_id}/raised")
        record = steps.InterruptRecord(**named, body=steps.interrupt_body_id(interrupt_id))
        await self.local(steps.RECORD_INTERRUPT, record)

    async def answer(self, interrupt_id: str, body: str) -> None:
        """Append that an interrupt has its answer; the store has it under ``body``."""
        named = self._named(f"{interrupt_id}/settled")
        await self.local(steps.RECORD_ANSWER, steps.InterruptRecord(**named, body=body))

    def _named(self, name: str) -> dict[str, Any]:
        order = self._order
        return {"id": name, "at": workflow.now(), "fleet": order.fleet, "run": order.run, "agent": order.agent}

    def _next_id(self) -> str:
        self._state.facts += 1
        return f"{self._order.run}/{self._order.agent}/{self._state.facts}"

    async def local(self, name: str, order: object) -> None:
        """A step that only writes to the journal and its store: quick, and certain in the end."""
        await workflow.execute_local_activity(
            name, order, start_to_close_timeout=steps.RECORD_TIMEOUT, schedule_to_close_timeout=timedelta(hours=1)
        )
