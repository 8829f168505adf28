"""Orders of a person, put on record: answers, new instructions; and questions that nobody answered in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from app.domain import events as ev
from app.domain.fleet import AgentSpec
from app.domain.instructions import TASK_CANCELLED, in_force
from app.domain.interrupt import Answer, Interrupt, InterruptState, expired
from app.store.journal import Journal
from app.workflows import steps


class OrderSteps:
    """What ``workflows.steps`` names of orders, done. All is quick and may be done twice."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def all(self) -> Sequence[Callable[..., Any]]:
        """The activities, for a worker."""
        return (self.record_answer, self.record_instructions, self.expire_interrupt)

    @activity.defn(name=steps.RECORD_ANSWER)
    async def record_answer(self, order: steps.InterruptRecord) -> None:
        """Append an interrupt's answer, with its text from the store, and what it changes of the instructions."""
        fields = order.model_dump(include={"id", "at", "fleet", "run", "agent"})
        settled = self._journal.body(order.body, Interrupt)
        fact = ev.InterruptSettled(
            **fields, interrupt_id=settled.id, state=InterruptState.ANSWERED, answer=settled.answer
        )
        change = _change(fields, settled.id, settled.answer)
        if change is None:
            self._journal.append(fact)
            return
        self._journal.put_body(change.id, change)
        self._journal.append(fact, change)

    @activity.defn(name=steps.RECORD_INSTRUCTIONS)
    async def record_instructions(self, order: steps.InstructOrder) -> None:
        """Append new instructions as the store has them."""
        self._journal.append(self._journal.body(order.body, ev.InstructionsChanged))

    @activity.defn(name=steps.EXPIRE_INTERRUPT)
    async def expire_interrupt(self, order: steps.ExpireOrder) -> None:
        """Append that a question's time is up, with the asker's default, and keep that for the next prompt."""
        asked = self._journal.body(steps.interrupt_body_id(order.interrupt_id), Interrupt)
        settled = expired(asked)
        self._journal.put_body(order.body, settled)
        who = order.order
        fact = ev.InterruptSettled(
            id=f"{asked.id}/settled",
            at=order.at,
            fleet=who.fleet,
            run=who.run,
            agent=who.agent,
            interrupt_id=asked.id,
            state=settled.state,
            answer=settled.answer,
        )
        self._journal.append(fact)


def instructed(journal: Journal, order: steps.AgentOrder, spec: AgentSpec) -> AgentSpec:
    """The agent with its instructions as the user has changed them in this run."""
    facts = journal.of_run(order.fleet, order.run, ("instructions_changed",))
    changes = [fact for fact in facts if isinstance(fact, ev.InstructionsChanged) and fact.agent == order.agent]
    if not changes:
        return spec
    return spec.model_copy(update={"initial_instructions": in_force(spec.initial_instructions, changes)})


def _change(fields: dict[str, Any], interrupt_id: str, answer: Answer | None) -> ev.InstructionsChanged | None:
    """What an answer changes of the instructions of who asked."""
    if answer is None or answer.action == "resume" or (answer.action == "cancel" and answer.scope == "agent"):
        return None
    named = fields | {"id": steps.cancelled_body_id(interrupt_id), "interrupt_id": interrupt_id, "by": answer.by}
    if answer.action == "cancel":
        return ev.InstructionsChanged(**named, mode="replace", text=TASK_CANCELLED, cancel=True)
    return ev.InstructionsChanged(**named, mode=answer.mode, text=answer.text)
