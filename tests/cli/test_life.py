"""``pause``, ``resume``, ``start``, ``reset`` and ``remove``, with a team at work and without."""

from __future__ import annotations

import json

import pytest

from app.activities.member import machine_name
from app.domain.events import AgentStatus
from tests.cli.conftest import AtWork, Desk, Skerry
from tests.team import Turn
from tests.ui.story import Story


async def rest(turn: Turn) -> None:
    """Nobody has anything to do."""


async def all_at_rest(desk: Desk) -> None:
    await desk.team.start()
    await desk.team.until(lambda board: all(view.state is AgentStatus.IDLE for view in board.agents.values()))


async def test_pause_and_resume(at_work: AtWork) -> None:
    async with at_work(rest) as desk:
        await all_at_rest(desk)
        assert (await desk.type("pause")).complained(2, "which agent?", "--team")
        assert (await desk.type("pause", "alice", "--team")).complained(2, "exclude each other")
        assert (await desk.type("resume", "alice")).complained(1, "alice is not paused (idle: waits", "skerry pause")
        assert (await desk.type("pause", "alice")).stdout == "alice is paused\n"
        assert (await desk.type("pause", "alice")).complained(1, "alice is paused already", "skerry resume alice")
        done = await desk.type("pause", "--team", "--to-disk", "--json")
        assert json.loads(done.stdout) == {"paused": ["bob"], "refused": {}}
        await desk.team.until(lambda board: board.agents["bob"].reason.endswith("saved to disk"))
        assert (await desk.type("pause", "--team")).complained(1, "no agent is at work and not paused")
        assert "paused" in (await desk.type("status")).stdout
        assert (await desk.type("start", "alice")).complained(1, "alice is at work (paused)", "skerry resume alice")
        assert (await desk.type("reset", "alice", "--yes")).complained(1, "alice is paused", "skerry resume alice")
        assert (await desk.type("resume", "--team")).stdout == "alice goes on\nbob goes on\n"
        await desk.team.until(lambda board: all(view.state is AgentStatus.IDLE for view in board.agents.values()))


async def test_stop_remove_start_and_reset(at_work: AtWork) -> None:
    async with at_work(rest) as desk:
        await all_at_rest(desk)
        alice = machine_name(desk.team.fleet, "alice")
        assert (await desk.type("start", "alice")).complained(1, "alice is at work (idle)")
        assert (await desk.type("remove", "alice", "--yes")).complained(1, "at work", "skerry stop alice")
        assert (await desk.type("reset", "alice")).complained(2, "cannot be undone", "--yes")
        made = desk.team.host.made
        done = await desk.type("reset", "alice", "--yes")
        assert done.stdout == "alice gets a clean machine and begins anew\n"
        await desk.team.until(
            lambda board: (board.agents["alice"].turn, board.agents["alice"].state.value) == (2, "idle")
        )
        assert desk.team.host.made == made + 1
        await desk.type("stop", "alice")
        await desk.team.until(lambda board: board.agents["alice"].state is AgentStatus.STOPPED)
        assert (await desk.type("reset", "alice", "--yes")).complained(1, "has ended", "skerry remove alice")
        done = await desk.type("remove", "alice", "--yes", "--json")
        assert json.loads(done.stdout) == {"removed": ["alice"], "refused": {}}
        assert alice not in desk.team.host.machines
        assert (await desk.type("start", "alice")).stdout == "alice is started again\n"
        await desk.team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        await desk.team.control.stop_fleet(desk.team.fleet)
        await desk.team.until(lambda board: board.outcome != "")
        assert (await desk.type("start", "alice")).stdout == "alice is started again\n"
        board = await desk.team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert (board.outcome, board.agents["bob"].state) == ("", AgentStatus.STOPPED)
        assert (await desk.type("start", "alice")).complained(1, "alice is at work (idle)")
        assert (await desk.type("start", "bob")).stdout == "bob is started again\n"
        await desk.team.until(lambda board: board.agents["bob"].state is AgentStatus.IDLE)
        assert (await desk.type("start", "--team")).complained(1, "no agent has ended")
        await desk.team.control.stop_fleet(desk.team.fleet)
        await desk.team.until(lambda board: board.outcome != "")
        done = await desk.type("start", "--team", "--json")
        assert json.loads(done.stdout) == {"started": ["alice", "bob"], "refused": {}}
        await desk.team.until(lambda board: {view.state for view in board.agents.values()} == {AgentStatus.IDLE})
        await desk.team.control.stop_fleet(desk.team.fleet)
        await desk.team.until(lambda board: board.outcome != "")
        done = await desk.type("remove", alice, "-y")
        assert done.stdout == "alice has no machine any more\n"
        assert alice not in desk.team.host.machines


@pytest.mark.parametrize("command", [("pause", "dev-agent"), ("resume", "dev-agent"), ("reset", "dev-agent", "--yes")])
def test_without_a_run(story: Story, skerry: Skerry, command: tuple[str, ...]) -> None:
    assert skerry(*command).complained(1, "dev-agent is not at work", "skerry run")
    assert skerry("start", "dev-agent").complained(1, "feature-x has not run yet", "skerry run")
    assert skerry("start", "dev-agnt").complained(1, "no agent 'dev-agnt'", "did you mean dev-agent?")
