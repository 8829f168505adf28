"""Follow a run from the terminal: tell the story, give default answers, notice the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from app.cli.answering import Answering
from app.config import Paths
from app.control import Control, engine_info, engine_was_killed
from app.domain.board import Board
from app.domain.errors import EngineError, NotFound
from app.domain.events import ENDED, AgentStatus, Event
from app.domain.interrupt import Interrupt, InterruptKind
from app.store.journal import JournalReader

POLL_SECONDS = 0.1
QUIET_SECONDS = 1.0
STOP_SECONDS = 120.0
GONE_SECONDS = 5.0
"""How long the engine may be away before we give up: somebody may be starting it again."""
KILLED_SECONDS = 1.0
"""The same when it was killed: then another one is started."""

Teller = Callable[[Event], None]


class Follower:
    """Reads the journal as it grows and keeps the board of one run."""

    def __init__(self, paths: Paths, fleet: str, run: str, tell: Teller) -> None:
        self.board = Board(fleet)
        self._run = run
        self._tell = tell
        self._paths = paths
        self._reader = JournalReader(paths.journal_db)
        self._after = 0
        self._seen = time.monotonic()

    def catch_up(self) -> bool:
        """Take in what was added; True when something was."""
        batch = self._reader.read(self._after, limit=10_000)
        for seq, event in batch:
            self._after = seq
            if self.board.apply(event) and event.run == self._run:
                self._tell(event)
        return bool(batch)

    def check_engine(self) -> None:
        """Raise EngineError when the engine has been gone for a while: nothing will happen any more."""
        now = time.monotonic()
        if engine_info(self._paths) is not None:
            self._seen = now
        elif now - self._seen > (KILLED_SECONDS if engine_was_killed(self._paths) else GONE_SECONDS):
            raise EngineError(
                "the engine has ended; the agents wait where they were",
                operation="follow the run",
                hint="go on with 'skerry run'",
            )

    def engine_is_back(self) -> None:
        """An engine runs again: begin to count anew."""
        self._seen = time.monotonic()

    def close(self) -> None:
        """Close the journal."""
        self._reader.close()


async def follow_to_the_end(follower: Follower, answering: Answering, *, until_idle: bool) -> None:
    """Return when the run has ended, or (``until_idle``) when nothing will happen by itself any more.

    Raises EngineError when the engine ends meanwhile.
    """
    quiet_since: float | None = None
    while True:
        changed = follower.catch_up()
        board = follower.board
        if board.outcome:
            return
        follower.check_engine()
        await answering.answer(board, questions(board))
        if changed or not _at_rest(board, waiting_counts=not answering.answers(questions(board))):
            quiet_since = None
        elif until_idle:
            quiet_since = quiet_since or time.monotonic()
            if time.monotonic() - quiet_since > QUIET_SECONDS:
                return
        await asyncio.sleep(POLL_SECONDS)


async def stop_and_see_the_end(follower: Follower, control: Control) -> None:
    """Stop the team and wait until its agents have ended."""
    try:
        await control.stop_fleet(follower.board.fleet, "nothing is left to do")
    except NotFound:
        pass  # it has ended by itself just now
    until = time.monotonic() + STOP_SECONDS
    while not follower.board.outcome and time.monotonic() < until:
        follower.catch_up()
        follower.check_engine()
        await asyncio.sleep(POLL_SECONDS)


def questions(board: Board) -> list[Interrupt]:
    """What somebody must answer before the team goes on."""
    return [item for item in board.open_interrupts if item.kind is not InterruptKind.PROGRESS_REPORT]


def failures(board: Board) -> list[tuple[str, str]]:
    """(agent, reason) of the agents that failed."""
    return [(view.id, view.reason) for view in board.agents.values() if view.state is AgentStatus.FAILED]


def _at_rest(board: Board, *, waiting_counts: bool) -> bool:
    if board.quiet:
        return True
    at_rest = ENDED | {AgentStatus.IDLE, AgentStatus.WAITING}
    asked = waiting_counts and bool(questions(board))
    return asked and all(view.state in at_rest for view in board.agents.values())
