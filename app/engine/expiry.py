"""Messages whose time is up: their workflow is told, and when there is none, it is put on record here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from app.domain import events as ev
from app.domain.envelope import USER, MessageState
from app.domain.errors import JournalError
from app.store.journal import Journal
from app.store.postbox import MessageRow, Postbox
from app.workflows import steps
from app.workflows.agent import AgentWorkflow

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
GRACE = timedelta(seconds=10)
"""How long a workflow has to answer before it is told again: it may be busy, or its worker away."""


class Expiry:
    """Looks for messages nobody read in time."""

    def __init__(self, journal: Journal, postbox: Postbox, client: Client) -> None:
        self._journal = journal
        self._postbox = postbox
        self._client = client
        self._told: dict[str, datetime] = {}

    async def run(self) -> None:
        """Look every second until cancelled. What fails is tried again: Temporal may be away for a while."""
        while True:
            try:
                await self.look(datetime.now(UTC))
            except Exception as error:  # Temporal is away, the disk is full: whatever it is may pass
                known = isinstance(error, RPCError | JournalError)
                log.warning("messages whose time is up are looked at later: %s", error, exc_info=not known)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, now: datetime) -> None:
        """Have every message expired that is overdue at ``now``."""
        rows = await asyncio.to_thread(self._postbox.overdue, now)
        overdue = {row.id for row in rows}
        self._told = {item: when for item, when in self._told.items() if item in overdue}
        groups: dict[tuple[str, str, str], list[MessageRow]] = {}
        for row in rows:
            if now - self._told.get(row.id, datetime.min.replace(tzinfo=UTC)) >= GRACE:
                groups.setdefault((row.fleet, row.run, _keeper(row)), []).append(row)
        for (fleet, run, keeper), group in groups.items():
            if not await self._tell(fleet, run, keeper, [row.id for row in group]):
                self._record(group, now)
            self._told.update({row.id: now for row in group})

    async def _tell(self, fleet: str, run: str, agent: str, message_ids: list[str]) -> bool:
        """False when nobody is there who could expire them: the agent has ended, or the run is an earlier one."""
        if agent == USER:
            return False
        handle = self._client.get_workflow_handle_for(AgentWorkflow.run, steps.agent_workflow_id(fleet, agent))
        try:
            memo = await (await handle.describe()).memo()
            if str(memo.get("run", run)) != run:
                return False
            await handle.signal(AgentWorkflow.expire, message_ids)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    def _record(self, rows: Sequence[MessageRow], now: datetime) -> None:
        for row in rows:
            fact = ev.MessageMoved(
                id=f"{row.id}/{MessageState.EXPIRED.value}",
                at=now,
                fleet=row.fleet,
                run=row.run,
                agent=row.sender if row.recipient == USER else _keeper(row),
                message_id=row.id,
                state=MessageState.EXPIRED,
                reason="its time was up before it was read",
            )
            self._journal.append(fact)


def _keeper(row: MessageRow) -> str:
    """Whose workflow has the message: the recipient's, or the sender's while the user has to decide."""
    decided_by_user = row.state is MessageState.HELD or (row.recipient == USER and row.kind == "confirm")
    return row.sender if decided_by_user else row.recipient


@asynccontextmanager
async def expiring(journal: Journal, postbox: Postbox, client: Client) -> AsyncIterator[None]:
    """Within: messages expire when their time is up."""
    task = asyncio.create_task(Expiry(journal, postbox, client).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            log.error("expiring messages had ended", exc_info=task.exception())
