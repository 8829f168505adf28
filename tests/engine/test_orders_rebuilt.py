"""Orders that an agent has not been told of yet, when Temporal loses the run: the journal has them."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from app.config import Paths
from app.domain.events import AgentStatus
from app.engine.reseed import rebuild
from app.workflows.orders import TURN_CANCELLED
from app.workflows.state import AgentState
from tests.team import Team, Turn

ALONE = """
project: {name: demo}
agents:
  - {id: alice, type: codex, initial_instructions: Begin.}
"""


def mind(team: Team) -> AgentState:
    (started,) = team.journal.newest_runs()
    run = rebuild(team.journal, team.mail.postbox, started)
    assert run is not None and run.seed is not None
    return run.seed.minds["alice"]


async def test_instructions_that_wait_for_the_end_of_a_turn(paths: Paths, temporal: Client) -> None:
    go_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.number == 1:
            await go_on.wait()

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        await team.until(lambda board: len(team.turns) == 1)
        await team.control.instruct(team.fleet, "alice", "Write tests, too.")
        board = await team.until(lambda board: bool(board.instructions))
        assert mind(team).instructions == [board.instructions[0].id]
        go_on.set()
        await team.until(lambda board: len(team.turns) == 2 and board.agents["alice"].state is AgentStatus.IDLE)
        assert mind(team).instructions == [], "it was told"


async def test_an_agent_whose_turn_was_cancelled_goes_on_to_rest(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        await asyncio.Event().wait()

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        await team.until(lambda board: len(team.turns) == 1)
        await team.control.cancel_turn(team.fleet, "alice")
        await team.until(lambda board: board.agents["alice"].reason == TURN_CANCELLED)
        found = mind(team)
        assert (found.resting, found.resuming, found.next_cause()) == (TURN_CANCELLED, None, None)
