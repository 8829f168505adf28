"""Agents whose model is asked step by step: a turn is model calls and actions, each of them a step of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.events import AgentStatus
from app.workflows.steps import agent_workflow_id
from tests.team import Team, read
from tests.workflows.looping import APIS, commands, ended, loop_team, said


async def activities(team: Team) -> list[str]:
    history = await team.client.get_workflow_handle(agent_workflow_id(team.fleet, "alice")).fetch_history()
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


@pytest.mark.parametrize("api", APIS)
async def test_a_loop_does_its_task(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    async with loop_team(paths, temporal, tmp_path, api) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed", board.agents["alice"].reason
        assert board.agents["alice"].state is AgentStatus.COMPLETED
        assert commands(team) == ["ls"]
        assert team.host.machines[f"{team.fleet}.alice"].files["/workspace/hello.txt"] == b"one\nthree\n"
        assert "It is empty." in read(team.project.memory_file(team.project.fleet.agent("alice")))
        assert "I look around." in said(team)
        tools = ended(team)
        look = tools["call_look_1_1"]
        assert (look.command, look.exit_status, look.output, look.status) == ("ls", 0, "did ls\n", "completed")
        assert len(tools) == 6 and {fact.status for fact in tools.values()} == {"completed"}
        (end,) = team.facts(ev.TurnEnded)
        calls = [fact for fact in team.facts(ev.ModelCalled) if fact.status == 200]
        assert end.stop_reason == "end_turn" and end.input_tokens == sum(fact.input_tokens for fact in calls)
        assert [fact.command for fact in team.facts(ev.PermissionDecided)][:1] == ["ls"]
        names = await activities(team)
        assert names.count("model_step") == len(calls) == 6
        assert names.count("action_step") == 6 and "run_turn" not in names
