"""While the user approves everything: each approval is answered, and on record as answered so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError

from app.domain import blanket
from app.domain import events as ev
from app.domain.errors import JournalError
from app.domain.interrupt import Answer, Interrupt, approving_answer, settle
from app.store.journal import Journal
from app.workflows import steps

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
_ASKED = ("interrupt_raised", "interrupt_settled")


class Approver:
    """Looks for open approvals of agents whose approvals are all given for now. It remembers nothing: facts do."""

    def __init__(self, journal: Journal, client: Client) -> None:
        self._journal = journal
        self._client = client

    async def run(self) -> None:
        """Look twice a second until cancelled. What fails is tried again: Temporal may be away for a while."""
        while True:
            try:
                await self.look(datetime.now(UTC))
            except Exception as error:  # Temporal is away, the disk is full: whatever it is may pass
                known = isinstance(error, RPCError | JournalError)
                log.warning("approvals are given later: %s", error, exc_info=not known)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, now: datetime) -> None:
        """Give what is to be given at ``now``."""
        for started in await asyncio.to_thread(self._journal.newest_runs):
            held = blanket.blankets(self._journal.of_run(started.fleet, started.run, blanket.KINDS))
            if not blanket.in_time(held, now):
                continue
            for item in self._open(started):
                answer = approving_answer(item, blanket.APPROVE_ALL)
                if answer is not None and blanket.covers(held, item.agent, now):
                    await self._give(started.fleet, item, answer)

    def _open(self, started: ev.RunStarted) -> list[Interrupt]:
        facts = self._journal.of_run(started.fleet, started.run, _ASKED)
        settled = {fact.interrupt_id for fact in facts if isinstance(fact, ev.InterruptSettled)}
        raised = [fact.interrupt for fact in facts if isinstance(fact, ev.InterruptRaised)]
        return [item for item in raised if item.id not in settled]

    async def _give(self, fleet: str, item: Interrupt, answer: Answer) -> None:
        body = f"answer/{item.id}/{blanket.APPROVE_ALL}"
        self._journal.put_body(body, settle(item, answer))
        order = steps.AnswerOrder(
            interrupt_id=item.id, body=body, action=answer.action, option=answer.option, by=answer.by
        )
        handle = self._client.get_workflow_handle(steps.agent_workflow_id(fleet, item.agent))
        try:
            await handle.execute_update("answer", order, id=body)
        except WorkflowUpdateFailedError as error:
            log.info("%s was not approved: %s", item.id, error.cause)  # answered, or withdrawn, a moment ago


@asynccontextmanager
async def approving(journal: Journal, client: Client) -> AsyncIterator[None]:
    """Within: what the user approves beforehand is approved."""
    task = asyncio.create_task(Approver(journal, client).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
