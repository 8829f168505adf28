"""Follow a run from the terminal: tell the story, give default answers, notice the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from app.config import Paths
from app.control import Control
from app.domain.board import Board
from app.domain.errors import AlreadyAnswered, EngineError
from app.domain.events import ENDED, AgentStatus, Event
from app.domain.interrupt import InterruptKind, default_answer
from app.store.journal import JournalReader

POLL_SECONDS = 0.1
QUIET_SECONDS = 1.0
STOP_SECONDS = 120.0

Teller = Callable[[Event], None]


class Follower:
    """Reads the journal as it grows and keeps the board of one run."""

    def __init__(self, paths: Paths, fleet: str, run: str, tell: Teller) -> None:
        self.board = Board(fleet)
        self._run = run
        self._tell = tell
        self._reader = JournalReader(paths.journal_db)
        self._after = 0

    def catch_up(self) -> bool:
        """Take in what was added; True when something was."""
        batch = self._reader.read(self._after, limit=10_000)
        for seq, event in batch:
            self._after = seq
            if self.board.apply(event) and event.run == self._run:
                self._tell(event)
        return bool(batch)

    def close(self) -> None:
        """Close the journal."""
        self._reader.close()


async def follow_to_the_end(follower: Follower, control: Control, *, until_idle: bool, answer_default: bool) -> None:
    """Return when the run has ended, or (``until_idle``) when nothing will happen by itself any more.

    Raises EngineError when the engine goes away meanwhile.
    """
    quiet_since: float | None = None
    while True:
        changed = follower.catch_up()
        board = follower.board
        if board.outcome:
            return
        if not control.alive:
            raise EngineError("the engine has gone", operation="follow", hint="start it again: skerry run")
        if answer_default:
            await _answer_all(control, board)
        if changed or not _at_rest(board, waiting_counts=not answer_default):
            quiet_since = None
        elif until_idle:
            quiet_since = quiet_since or time.monotonic()
            if time.monotonic() - quiet_since > QUIET_SECONDS:
                return
        await asyncio.sleep(POLL_SECONDS)


async def stop_and_see_the_end(follower: Follower, control: Control) -> None:
    """Stop the team and wait until its agents have ended."""
    await control.stop_fleet(follower.board.fleet, "nothing is left to do")
    until = time.monotonic() + STOP_SECONDS
    while not follower.board.outcome and time.monotonic() < until:
        follower.catch_up()
        await asyncio.sleep(POLL_SECONDS)


def succeeded(board: Board) -> bool:
    """Whether a script may go on: no agent failed, and nobody waits for the user."""
    failed = any(agent.state is AgentStatus.FAILED for agent in board.agents.values())
    return not failed and not any(agent.needs_user for agent in board.agents.values())


def _at_rest(board: Board, *, waiting_counts: bool) -> bool:
    if board.quiet:
        return True
    at_rest = ENDED | {AgentStatus.IDLE, AgentStatus.WAITING}
    return waiting_counts and bool(board.open_interrupts) and all(a.state in at_rest for a in board.agents.values())


async def _answer_all(control: Control, board: Board) -> None:
    for interrupt in board.open_interrupts:
        if interrupt.kind is not InterruptKind.PROGRESS_REPORT:
            try:
                await control.answer(board.fleet, interrupt.id, default_answer(interrupt))
            except AlreadyAnswered:
                continue  # answered elsewhere, or by us a moment ago: the fact is on its way
