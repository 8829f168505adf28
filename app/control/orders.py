"""What the user orders agents: answers, new instructions, ends of turns and tasks, approving everything for a while."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from app.config import Paths
from app.control.boards import read_board
from app.control.requests import Requests
from app.domain import blanket
from app.domain import events as ev
from app.domain.board import Board
from app.domain.errors import ActionRefused, AlreadyAnswered, NotFound
from app.domain.events import ENDED
from app.domain.instructions import TASK_CANCELLED, check_instructions
from app.domain.interrupt import Answer, Interrupt, InterruptState, alike, settle, too_late
from app.store.journal import Journal
from app.workflows import steps

ASKING_AGAIN_SECONDS = 45.0
"""A turn that a crash cut is taken up again after the heartbeat time-out; then its question is asked again."""


class UserOrders:
    """Gives orders; see ``Control`` for what each of them raises."""

    def __init__(self, paths: Paths, journal: Journal, requests: Requests) -> None:
        self._paths = paths
        self._journal = journal
        self._requests = requests

    async def answer(self, fleet: str, interrupt_id: str, answer: Answer) -> Interrupt:
        """Answer one."""
        settled = settle(await self._find(fleet, interrupt_id), answer)
        body = f"answer/{interrupt_id}/{secrets.token_hex(4)}"
        self._journal.put_body(body, settled)
        order = steps.AnswerOrder(
            interrupt_id=interrupt_id,
            body=body,
            action=answer.action,
            option=answer.option,
            by=answer.by,
            scope=answer.scope,
            has_text=bool(answer.text.strip()),
        )
        try:
            await self._deliver(fleet, settled.agent, order)
        except AlreadyAnswered:
            now = await self._find(fleet, interrupt_id)
            raise (too_late(now) if now.state is not InterruptState.OPEN else _just_now(interrupt_id)) from None
        return settled

    async def answer_alike(self, fleet: str, interrupt_id: str, answer: Answer) -> list[Interrupt]:
        """Answer one and those like it."""
        board = await self._board(fleet)
        found = [await self.answer(fleet, interrupt_id, answer)]
        for item in alike(board.interrupts[interrupt_id], board.open_interrupts):
            if item.id != interrupt_id:
                try:
                    found.append(await self.answer(fleet, item.id, answer))
                except (AlreadyAnswered, NotFound):
                    continue
        return found

    async def cancel(self, fleet: str, agent: str, *, task: bool) -> None:
        """End a turn, or a task with it."""
        body = self._keep_change(fleet, agent, await self._run(fleet, agent), _CANCEL) if task else ""
        await self._requests.update(fleet, agent, "cancel", steps.CancelOrder(body=body), update_id=body)

    async def instruct(self, fleet: str, agent: str, text: str, mode: Literal["amend", "replace"]) -> None:
        """New instructions."""
        check_instructions(text)
        body = self._keep_change(fleet, agent, await self._run(fleet, agent), {"mode": mode, "text": text})
        await self._requests.update(fleet, agent, "instruct", steps.InstructOrder(body=body), update_id=body)

    async def approve_all(self, fleet: str, lasting: timedelta, agent: str) -> datetime:
        """From now on, until the time that is returned."""
        if not timedelta() < lasting <= blanket.MAX_APPROVE_ALL:
            hours = int(blanket.MAX_APPROVE_ALL.total_seconds() // 3600)
            hint = f"say a time of at most {hours} h, such as 10m"
            raise ActionRefused(f"{lasting} is not a time to approve everything for", operation="approve", hint=hint)
        named = _named(fleet, await self._run(fleet, agent), agent, "approvals")
        until: datetime = named["at"] + lasting
        await asyncio.to_thread(self._journal.append, ev.ApprovalsOpened(**named, until=until))
        return until

    async def end_approve_all(self, fleet: str, agent: str) -> None:
        """Before its time."""
        board = await self._board(fleet)
        now = datetime.now(UTC)
        if not blanket.in_time(board.blankets, now) or (agent and agent not in board.blankets):
            whose = agent or "the team"
            raise NotFound(f"not everything is approved of {whose} now", operation="approve", hint="see skerry status")
        named = _named(fleet, board.run, agent, "approvals")
        await asyncio.to_thread(self._journal.append, ev.ApprovalsClosed(**named))

    def _keep_change(self, fleet: str, agent: str, run: str, values: dict[str, object]) -> str:
        named = _named(fleet, run, agent, "instructions")
        self._journal.put_body(named["id"], ev.InstructionsChanged(**named, **values))
        return str(named["id"])

    async def _deliver(self, fleet: str, agent: str, order: steps.AnswerOrder) -> None:
        """Bring an answer to its agent. A question is on record a moment before its workflow is sure to know it.

        When the engine died in that moment, the agent asks again in a while, under the same id.
        """
        until = time.monotonic() + ASKING_AGAIN_SECONDS
        while True:
            try:
                await self._requests.update(fleet, agent, "answer", order, update_id=order.body)
                return
            except NotFound:
                if time.monotonic() > until or not _waits(await self._board(fleet), agent, order.interrupt_id):
                    raise
                await asyncio.sleep(0.5)

    async def _find(self, fleet: str, interrupt_id: str) -> Interrupt:
        board = await self._board(fleet)
        interrupt = board.interrupts.get(interrupt_id)
        if interrupt is None:
            known = ", ".join(item.id for item in board.open_interrupts) or "none is open"
            raise NotFound(f"there is no interrupt {interrupt_id!r}", operation="answer", hint=known)
        return interrupt

    async def _run(self, fleet: str, agent: str) -> str:
        """The run in progress. Raises NotFound when there is none, or the agent is not in it."""
        board = await self._board(fleet)
        if not board.run or board.outcome or (agent and agent not in board.agents):
            raise NotFound(f"{agent or 'the team'} is not at work in {fleet}", operation="find", hint="skerry status")
        return board.run

    async def _board(self, fleet: str) -> Board:
        return await asyncio.to_thread(read_board, self._paths, fleet)


_CANCEL: dict[str, object] = {"mode": "replace", "text": TASK_CANCELLED, "cancel": True}


def _named(fleet: str, run: str, agent: str, what: str) -> dict[str, Any]:
    name = f"{what}/{run}/{secrets.token_hex(6)}"
    return {"id": name, "at": datetime.now(UTC), "fleet": fleet, "run": run, "agent": agent}


def _just_now(interrupt_id: str) -> AlreadyAnswered:
    """Its fact is on the way."""
    return AlreadyAnswered(f"{interrupt_id} was answered just now", operation="answer", hint="answers are given once")


def _waits(board: Board, agent: str, interrupt_id: str) -> bool:
    """Whether an agent at work has that question open, by the record."""
    view, interrupt = board.agents.get(agent), board.interrupts.get(interrupt_id)
    is_open = interrupt is not None and interrupt.state is InterruptState.OPEN
    return is_open and view is not None and view.state not in ENDED and not board.outcome
