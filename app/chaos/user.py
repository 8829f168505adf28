"""The user of a run: decides on what is held and marks messages as read, as the seed says and as soon as possible."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from app.chaos.diary import Diary, Entry
from app.chaos.plan import Decision, Plan
from app.config import Paths, Project
from app.domain.envelope import USER, MessageState
from app.domain.errors import SkerryError
from app.domain.interrupt import Answer
from app.store.postbox import Postbox
from app.workflows.post import ALWAYS, DELIVER_ONCE, REFUSE

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 30.0
"""How long one thing may take: the engine may be killed meanwhile, and what was asked of it comes to nothing."""

_OPTIONS: dict[Decision, str] = {"once": DELIVER_ONCE, "always": ALWAYS, "refuse": REFUSE}


class Desk(Protocol):
    """What the user does, whichever engine there is by now. All of it raises SkerryError."""

    async def run_fleet(self, paths: Paths, project: Project) -> str:
        """Start the team; the run's id."""

    async def answer(self, paths: Paths, fleet: str, interrupt_id: str, answer: Answer) -> None:
        """Answer an interrupt."""

    async def mark_read(self, paths: Paths, message_id: str) -> None:
        """Put on record that the user has read a message."""


class User:
    """One person for a whole run; ``diary`` keeps which messages they have read."""

    def __init__(self, plan: Plan, paths: Paths, fleet: str, run: str, diary: Diary, desk: Desk) -> None:
        self._plan, self._paths, self._fleet, self._run = plan, paths, fleet, run
        self._diary, self._desk = diary, desk
        self._marked = {item.key for name in plan.names for item in plan.share(name) if plan.marked(item)}
        self._seen: set[str] = set()

    async def attend(self, postbox: Postbox) -> None:
        """Do what there is to do, until cancelled. What fails is done later."""
        while True:
            for row in postbox.of_run(self._fleet, self._run, (MessageState.HELD, MessageState.DELIVERED)):
                if row.state is MessageState.HELD:
                    await self._decide(row.id, row.idempotency_key)
                elif row.recipient == USER and row.idempotency_key in self._marked:
                    await self._read(row.id)
            await asyncio.sleep(LOOK_SECONDS)

    async def _decide(self, message_id: str, key: str) -> None:
        decision = self._plan.decision(key)
        if decision != "leave":
            interrupt, answer = f"i-{message_id.removeprefix('m-')}", Answer(option=_OPTIONS[decision])
            await self._try(self._desk.answer(self._paths, self._fleet, interrupt, answer))

    async def _read(self, message_id: str) -> None:
        if message_id not in self._seen:
            self._seen.add(message_id)
            self._diary.add(Entry("seen", 0, id=message_id))
        await self._try(self._desk.mark_read(self._paths, message_id))

    async def _try(self, doing: Awaitable[None]) -> None:
        try:
            await asyncio.wait_for(doing, PATIENCE_SECONDS)
        except (SkerryError, TimeoutError) as error:
            log.info("later: %s", error)


@asynccontextmanager
async def attending(user: User, journal: Path) -> AsyncIterator[None]:
    """Within: the user is at the desk. What they cannot get over ends the block."""
    postbox = Postbox(journal)
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(user.attend(postbox))
            yield
            task.cancel()
    finally:
        postbox.close()
