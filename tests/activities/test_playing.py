"""A try of a turn that Temporal takes for dead, while it is not: its turn is the next try's, and begun once."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.engine.orphaned_steps import hand_over_orphaned_steps
from tests.activities.test_messages import finish, team_of
from tests.team import Team, Turn


async def is_tried_again(team: Team) -> bool:
    async for item in team.client.list_workflows("ExecutionStatus = 'Running'"):
        description = await team.client.get_workflow_handle(item.id).describe()
        if any(step.attempt == 2 for step in description.raw_description.pending_activities):
            return True
    return False


@pytest.mark.parametrize("heard", [True, False], ids=["the_old_try_heard", "both_tries_wait"])
async def test_a_try_that_was_given_up_leaves_its_turn_to_the_next(paths: Paths, temporal: Client, heard: bool) -> None:
    go_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await go_on.wait()
        await finish(turn)

    async with Team(paths, temporal, script, text=team_of("alice")) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].turn == 1 and bool(team.turns))
        assert await hand_over_orphaned_steps(team.client) == 1
        async with asyncio.timeout(20):
            while not await is_tried_again(team):  # noqa: ASYNC110  # Temporal tells only those who ask
                await asyncio.sleep(0.05)
        if heard:
            await asyncio.sleep(2.5)  # the old try's next beat is answered with: not known any more
        go_on.set()
        await team.until(lambda board: board.outcome == "completed")
        assert len(team.turns) == 1
        assert not team.facts(ev.TurnResumed)
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["end_turn"]
