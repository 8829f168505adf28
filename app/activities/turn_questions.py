"""Questions that a program asks in the middle of its turn: put to the user, and waited for there.

Such a question has the same id however often it is asked again after a crash; it is raised once, and answered once.
"""

from __future__ import annotations

import asyncio
import logging

from temporalio.client import RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.service import RPCError

from app.activities.arrivals import turn_topic
from app.activities.mail_room import MailRoom
from app.activities.member import Member
from app.activities.own_workflow import OwnWorkflow
from app.domain import events as ev
from app.domain.interrupt import Answer, Interrupt, InterruptState
from app.workflows import steps

LOOK_SECONDS = 5.0
"""How long an answer may go unheard that was put on record without rousing anybody."""
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class TurnQuestions:
    """Asks by way of the agent's workflow, and reads the answers from the record."""

    def __init__(self, mail: MailRoom, workflow: OwnWorkflow) -> None:
        self._mail = mail
        self.journal = mail.journal
        self._workflow = workflow

    async def answer(self, member: Member, turn: int, interrupt: Interrupt, *, title: str) -> Answer | None:
        """The user's answer, as long as it may take; None when the question was withdrawn or the turn is ending."""
        order = member.order
        topics = interrupt.id, turn_topic(order.fleet, order.agent)
        raised = False
        with self._mail.arrivals.watch(*topics) as watch:
            while True:
                settled = self._settled(member, interrupt.id)
                if settled is not None:
                    return settled.answer if settled.state is InterruptState.ANSWERED else None
                if member.ending or member.turn != turn:
                    return None
                raised = raised or await self._raise(member, interrupt, title)
                await watch.news(LOOK_SECONDS if raised else RETRY_SECONDS)

    async def tell(self, member: Member, report: Interrupt) -> None:
        """Report something to the user; nobody waits."""
        self.journal.put_body(steps.interrupt_body_id(report.id), report)
        ref = steps.InterruptRef(id=report.id, kind=report.kind, title=report.title, blocking=False)
        await self._raised(member, ref)

    async def _raise(self, member: Member, interrupt: Interrupt, title: str) -> bool:
        """Put the question to the user; False when that has to be tried again, Temporal being away."""
        self.journal.put_body(steps.interrupt_body_id(interrupt.id), interrupt)
        ref = steps.InterruptRef(id=interrupt.id, kind=interrupt.kind, title=title, permission=True)
        return await self._raised(member, ref)

    async def _raised(self, member: Member, ref: steps.InterruptRef) -> bool:
        order = steps.RaiseOrder(action_id=ref.id, interrupt=ref)
        try:
            await self._workflow.outcome(member, "raise_interrupt", order)
        except WorkflowUpdateFailedError:
            return False  # it is being stopped: the turn ends
        except RPCTimeoutOrCancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None
            return False
        except RPCError as error:
            log.info("%s is put to the user again: %s", ref.id, error.message)
            return False
        return True

    def _settled(self, member: Member, interrupt_id: str) -> ev.InterruptSettled | None:
        if not self.journal.has(f"{interrupt_id}/settled"):
            return None
        facts = self.journal.of_run(member.order.fleet, member.order.run, ("interrupt_settled",))
        found = [fact for fact in facts if isinstance(fact, ev.InterruptSettled) and fact.interrupt_id == interrupt_id]
        return found[-1] if found else None
