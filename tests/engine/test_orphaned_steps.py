"""What an engine had under way when it was killed, the next one goes on with at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client

from app.config import Paths
from app.control import engine_info
from app.domain import events as ev
from app.domain.events import AgentStatus
from app.engine.orphaned_steps import ORPHANED, hand_over_orphaned_steps
from app.workflows.steps import agent_workflow_id
from tests.engine.test_engine import Scripted
from tests.team import Team, Turn


@pytest.fixture
async def scripted(paths: Paths, tmp_path: Path) -> AsyncIterator[Scripted]:
    scripted = Scripted(paths, tmp_path)
    yield scripted
    if scripted.process is not None and scripted.process.poll() is None:
        scripted.kill()


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_turn_is_taken_up_without_waiting_for_the_silence_of_the_dead(scripted: Scripted) -> None:
    await scripted.start()
    async with scripted.control() as control:
        await control.run_fleet(scripted.project)
    for number in range(2):
        await scripted.wait(lambda: scripted.diary.exists() and f"count {number}" in scripted.diary.read_text())  # noqa: B023
        scripted.kill()
        await scripted.start()
        await scripted.wait(lambda: len(_resumed(scripted)) == number + 1)  # noqa: B023
        step = await _turn_of_alice(scripted)
        assert (step.attempt, step.last_failure.application_failure_info.type) == (number + 2, ORPHANED)
    await scripted.wait(lambda: bool(scripted.board().open_interrupts))
    assert [fact.attempt for fact in _resumed(scripted)] == [2, 3]
    assert scripted.diary.read_text().split("\n") == ["count 0", "count 1", "count 2", ""]


async def test_where_nothing_is_under_way_nothing_is_touched(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await turn.call("ask_user", question="Which?")

    async with Team(paths, temporal, script) as team:
        await team.start()
        at_rest = {"alice": AgentStatus.WAITING, "bob": AgentStatus.IDLE}
        await team.until(lambda board: {name: view.state for name, view in board.agents.items()} == at_rest)
        assert await hand_over_orphaned_steps(temporal) == 0


def _resumed(scripted: Scripted) -> list[ev.TurnResumed]:
    return [fact for fact in scripted.facts() if isinstance(fact, ev.TurnResumed) and fact.agent == "alice"]


async def _turn_of_alice(scripted: Scripted) -> PendingActivityInfo:
    info = engine_info(scripted.paths)
    assert info is not None
    client = await Client.connect(info.temporal)
    handle = client.get_workflow_handle(agent_workflow_id(scripted.project.fleet_id, "alice"))
    (step,) = (await handle.describe()).raw_description.pending_activities
    return step
