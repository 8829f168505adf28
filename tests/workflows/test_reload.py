"""agents.yaml read again while the team is at work: who is new starts, who is gone stops, the others go on."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from app.config import Paths, load_project
from app.domain import events as ev
from app.domain.events import AgentStatus
from app.engine.team_orders import reload_order
from app.workflows.fleet import FleetWorkflow
from app.workflows.steps import ReloadOrder, fleet_workflow_id
from tests.team import PROJECT, Team, Turn

CAROL = "  - {id: carol, type: codex, description: looks after the docs, initial_instructions: Wait.}\n"
WITHOUT_BOB = PROJECT[: PROJECT.index("  - id: bob")].replace("[bob]", "[]")


async def reload(team: Team, text: str) -> ReloadOrder:
    old = team.project
    old.file.write_text(text)
    team.project = load_project(old.root)
    order = reload_order(old, team.project)
    handle = team.client.get_workflow_handle(fleet_workflow_id(team.fleet))
    await handle.execute_update(FleetWorkflow.reload, order)
    return order


async def idle(turn: Turn) -> None:
    """Every turn ends at once."""


async def test_an_agent_is_added_another_stopped_and_the_rest_is_not_disturbed(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, idle) as team:
        run = await team.start()
        await team.until(lambda board: board.quiet)
        await reload(team, WITHOUT_BOB + CAROL)
        board = await team.until(lambda board: team.facts(ev.FleetReloaded) != [] and _at(team, "bob") == "stopped")
        await team.until(lambda board: _at(team, "carol") == "idle")
        assert board.run == run
        (fact,) = team.facts(ev.FleetReloaded)
        assert (fact.added, fact.removed, fact.changed) == (("carol",), ("bob",), ("alice",))
        assert [agent.id for agent in fact.agents] == ["alice", "carol"]
        assert fact.agents[1].description == "looks after the docs"
        assert [item.reason for item in _moves(team, "bob")][-1] == "removed from agents.yaml"
        assert [item.turn for item in team.facts(ev.TurnStarted) if item.agent == "alice"] == [1]


async def test_an_agent_that_comes_back_finds_its_disk_and_its_place(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, idle) as team:
        await team.start()
        await team.until(lambda board: board.quiet)
        await reload(team, WITHOUT_BOB)
        await team.until(lambda board: _at(team, "bob") == "stopped")
        machine = team.host.machines[f"{team.fleet}.bob"]
        await reload(team, PROJECT)
        await team.until(lambda board: [turn.number for turn in team.turns if turn.agent == "bob"] == [1, 2])
        assert team.host.machines[f"{team.fleet}.bob"] is machine
        ids = [event.id for _, event in team.journal.read(limit=10_000)]
        assert len(ids) == len(set(ids))
        await team.until(lambda board: _at(team, "bob") == "idle")


async def test_a_change_reaches_the_next_turn(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, idle) as team:
        await team.start()
        await team.until(lambda board: board.quiet)
        await reload(
            team, PROJECT.replace("id: alice", "id: alice\n    model: gpt-small\n    description: the new one")
        )
        await team.control.send(team.fleet, "alice", "Hello?")
        await team.until(lambda board: [turn.number for turn in team.turns if turn.agent == "alice"] == [1, 2])
        await team.until(lambda board: board.quiet)
        member = team.roster[f"{team.fleet}/alice"]
        assert (member.spec.model, member.spec.description) == ("gpt-small", "the new one")


async def test_a_run_ends_as_those_end_who_are_in_the_team(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if "Enough." in turn.prompt:
            await turn.call("finish", summary="done")

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.quiet)
        await reload(team, WITHOUT_BOB)
        await team.control.send(team.fleet, "alice", "Enough.")
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert _at(team, "bob") == "stopped"


async def test_what_cannot_be_a_team_is_refused(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, idle) as team:
        await team.start()
        order = reload_order(None, team.project)
        handle = team.client.get_workflow_handle(fleet_workflow_id(team.fleet))
        for bad in (ReloadOrder(agents=()), order.model_copy(update={"agents": order.agents * 2})):
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update(FleetWorkflow.reload, bad)
        await asyncio.gather(*(handle.execute_update(FleetWorkflow.reload, order) for _ in range(1)))
        await team.control.stop_fleet(team.fleet)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(FleetWorkflow.reload, order)


def _moves(team: Team, agent: str) -> list[ev.AgentMoved]:
    return [item for item in team.facts(ev.AgentMoved) if item.agent == agent]


def _at(team: Team, agent: str) -> str:
    moves = _moves(team, agent)
    return (moves[-1].state if moves else AgentStatus.STARTING).value
