"""Looks after agents at work, every second: who is near a limit, who does not get on, whose turn has to end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from app.activities.ledger import RunLedger
from app.activities.member import Member, Roster
from app.activities.warden import Warden
from app.domain import limits
from app.domain.budget import WARN_AT
from app.domain.errors import SkerryError
from app.domain.events import ENDED
from app.domain.interrupt import Interrupt
from app.workflows import steps
from app.workflows.agent import AgentWorkflow

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 10.0
"""After which a workflow is told again what it has not put on record yet."""


class Watch:
    """Sees what is on record and tells the agents' workflows of it; these raise interrupts, each once."""

    def __init__(self, roster: Roster, warden: Warden, client: Client) -> None:
        self._roster = roster
        self._warden = warden
        self._client = client
        self._since = datetime.now(UTC)
        self._told: dict[str, float] = {}
        self._held: dict[tuple[str, str, int], str] = {}
        """Which of two is kept from going on, by run, cause and number: whose workflow was told first."""

    async def run(self) -> None:
        """Look every second until cancelled. What fails is tried again."""
        while True:
            try:
                await self.look(datetime.now(UTC))
            except Exception as error:  # Temporal is away, the disk is full: whatever it is may pass
                known = isinstance(error, RPCError | SkerryError)
                log.warning("agents are looked after later: %s", error, exc_info=not known)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, now: datetime) -> None:
        """Look at every agent of this engine once."""
        for member in list(self._roster.values()):
            ledger = self._warden.ledger(member.order)
            if ledger.watch(member.order.agent).state in ENDED:
                continue
            if member.playing is not None and not member.playing.task.done():
                self._warden.look_at_turn(member)
            for interrupt in (*self._near(member, ledger, now), *self._stuck(member, ledger, now)):
                await self._tell(member, ledger, interrupt)
            await self._look_at_pairs(member, ledger, now)

    def _near(self, member: Member, ledger: RunLedger, now: datetime) -> Iterator[Interrupt]:
        order, budget = member.order, member.spec.limits.budget
        for used in ledger.account(order.agent).limits(budget, now, member.turn):
            if WARN_AT <= used.share < 1:
                yield limits.nearly_over(order.run, order.agent, used, now)

    def _stuck(self, member: Member, ledger: RunLedger, now: datetime) -> Iterator[Interrupt]:
        order, spec = member.order, member.spec.limits
        watch = ledger.watch(order.agent)
        found = watch.suspicions(now, since=self._since, stall=spec.stall, failures=spec.repeated_failures)
        for suspicion in found:
            if suspicion.cause == "stall" and _heard_within(member, spec.stall):
                continue  # words that are not on record yet: a long sentence is one fact
            number = ledger.number(order.agent, suspicion.key)
            yield limits.suspicious(order.run, order.agent, suspicion, number, now)

    async def _look_at_pairs(self, member: Member, ledger: RunLedger, now: datetime) -> None:
        """Those in which this agent has written last; it is the one that is kept from going on."""
        order = member.order
        for pair, watch in ledger.pairs.items():
            newest = watch.messages[-1] if watch.messages else None
            found = watch.suspicion(member.spec.limits.ping_pong)
            if newest is None or found is None or newest.sender != order.agent:
                continue
            number = sum(ledger.number(agent, found.key) for agent in pair)
            if self._held.setdefault((order.run, found.key, number), order.agent) != order.agent:
                continue
            await self._tell(member, ledger, limits.suspicious(order.run, order.agent, found, number, now))

    async def _tell(self, member: Member, ledger: RunLedger, interrupt: Interrupt) -> None:
        last = self._told.get(interrupt.id)
        if interrupt.id in ledger.raised or (last is not None and time.monotonic() - last < AGAIN_SECONDS):
            return
        ref = self._warden.keep(interrupt)
        order = member.order
        handle = self._client.get_workflow_handle_for(
            AgentWorkflow.run, steps.agent_workflow_id(order.fleet, order.agent)
        )
        try:
            await handle.signal(AgentWorkflow.concern, ref)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        self._told[interrupt.id] = time.monotonic()


def _heard_within(member: Member, seconds: float) -> bool:
    playing = member.playing
    return playing is not None and time.monotonic() - playing.recorder.last_heard < seconds


@asynccontextmanager
async def watching(watch: Watch) -> AsyncIterator[None]:
    """Within: agents are looked after."""
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            log.error("looking after agents had ended", exc_info=task.exception())
