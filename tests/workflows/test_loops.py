"""Agents whose model is asked step by step: a turn is model calls and actions, each of them a step of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
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


FILES = """
      - id: make
        calls:
          - {tool: write_file, arguments: {path: a/b.txt, content: "one\\ntwo\\ntwo\\nthree\\n"}}
      - id: look
        calls:
          - {tool: read_file, arguments: {path: a/b.txt, start_line: 2, lines: 2}}
          - {tool: read_file, arguments: {path: a/b.txt, start_line: 9}}
          - {tool: read_file, arguments: {path: nothing.txt}}
          - {tool: edit_file, arguments: {path: a/b.txt, old: two, new: four}}
          - {tool: edit_file, arguments: {path: a/b.txt, old: five, new: six}}
      - id: change
        calls:
          - {tool: edit_file, arguments: {path: a/b.txt, old: two, new: four, everywhere: true}}
      - id: end
        run: fail now
        calls: [{tool: finish, arguments: {summary: Done.}}]
"""


async def test_files_are_read_and_changed(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async with loop_team(paths, temporal, tmp_path, "openai", steps=FILES) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        files = team.host.machines[f"{team.fleet}.alice"].files
        assert files["/workspace/a/b.txt"] == b"one\nfour\nfour\nthree\n"
        tools = ended(team)
        outputs = {call: (fact.status, fact.output) for call, fact in tools.items()}
        assert outputs["call_look_2_1"] == (
            "completed",
            "     2  two\n     3  two\n[1 more lines: go on with start_line=4]",
        )
        assert outputs["call_look_3_1"] == ("failed", "there are 4 lines (take a lower start_line)")
        assert outputs["call_look_4_1"] == ("failed", "/workspace/nothing.txt is not there")
        assert outputs["call_look_5_1"][0] == "failed" and "stands there 2 times" in outputs["call_look_5_1"][1]
        assert outputs["call_look_6_1"][0] == "failed" and "does not stand in the file" in outputs["call_look_6_1"][1]
        assert (tools["call_end_1_1"].status, tools["call_end_1_1"].exit_status) == ("failed", 3)


TALK = """
      - id: ask
        calls: [{tool: ask_user, arguments: {question: "Which colour?", options: [red, blue]}}]
      - id: rest
        say: I wait for the colour.
      - id: paint
        when: {seen: {matches: "Answer to i-[0-9a-f]+: red", by: prompts}}
        run: paint it red
      - id: end
        calls: [{tool: finish, arguments: {summary: Painted.}}]
"""


@pytest.mark.parametrize("api", APIS)
async def test_an_answer_begins_the_next_turn(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    async with loop_team(paths, temporal, tmp_path, api, steps=TALK) as team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        (asked,) = board.open_interrupts
        await team.control.answer(team.fleet, asked.id, Answer(option="red"))
        await team.until(lambda board: board.outcome == "completed")
        assert commands(team) == ["paint it red"]
        assert [fact.turn for fact in team.facts(ev.TurnEnded)] == [1, 2]
        assert len({fact.session for fact in team.facts(ev.SessionOpened)}) == 1, "one conversation"


async def test_a_clean_machine_begins_a_new_conversation(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async with loop_team(paths, temporal, tmp_path, "openai", steps=TALK) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        await team.control.reset_agent(team.fleet, "alice")
        await team.until(lambda board: len(team.facts(ev.TurnEnded)) == 2)
        opened = [fact.session for fact in team.facts(ev.SessionOpened)]
        assert len(opened) == 3 and opened[1] == "" and opened[0] != opened[2]


@pytest.mark.slow
async def test_a_long_turn_goes_on_in_a_new_history(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    calls = "[" + ", ".join(10 * ["{tool: read_file, arguments: {path: nothing}}"]) + "]"
    steps = "\n" + "".join(f"      - {{id: s{number}, run: echo {number}, calls: {calls}}}\n" for number in range(20))
    steps += "      - {id: end, calls: [{tool: finish, arguments: {summary: Done.}}]}\n"
    async with loop_team(paths, temporal, tmp_path, "openai", steps=steps, limits="repeated_failures: 1000") as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed", 90)
        assert commands(team) == [f"echo {number}" for number in range(20)], "each once, over several histories"
        assert [fact.turn for fact in team.facts(ev.TurnEnded)] == [1]
        assert len([fact for fact in team.facts(ev.ModelCalled) if fact.status == 200]) == 22
        handle = team.client.get_workflow_handle(agent_workflow_id(team.fleet, "alice"))
        first = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
        assert first.continued_execution_run_id, "the history was not begun anew: see _TUNING of the Temporal server"
