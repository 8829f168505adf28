"""API loops that are cancelled, paused, stopped, asked about and spoken to in the middle of a turn."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from tests.team import Team
from tests.workflows.looping import APIS, GatedHost, GatedSandbox, commands, ended, loop_team

every_api = pytest.mark.parametrize("api", APIS)
WAITING = """
      - id: long
        run: wait for it
        calls: [{tool: memory_append, arguments: {text: Meanwhile.}}]
      - id: after
        run: ls
      - id: end
        calls: [{tool: finish, arguments: {summary: Done.}}]
"""
ASKING = """
      - id: push
        run: git push origin main
        calls: [{tool: memory_append, arguments: {text: Meanwhile.}}]
      - id: pushed
        when: {exit: {of: push, status: 0}}
        else: skip
        run: echo pushed
      - id: end
        calls: [{tool: finish, arguments: {summary: Done.}}]
"""


def machine(host: GatedHost) -> GatedSandbox:
    assert host.machine is not None
    return host.machine


async def begun(team: Team, host: GatedHost) -> None:
    await team.start()
    await team.until(lambda board: host.machine is not None and "wait for it" in host.machine.begun)
    await team.until(lambda board: bool(team.facts(ev.MemoryWritten)))


@every_api
async def test_a_cancelled_turn_ends_its_command(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    host = GatedHost()
    async with loop_team(paths, temporal, tmp_path, api, steps=WAITING, host=host) as team:
        await begun(team, host)
        await team.control.cancel_turn(team.fleet, "alice")
        assert machine(host).cancelled == ["wait for it"]
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["cancelled"]
        assert ended(team)["call_long_1_1"].status == "failed", "nobody takes it for still running"
        await team.control.send(team.fleet, "alice", "Go on.")
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed", "a conversation with a call that was cut can be gone on with"
        assert machine(host).begun == ["wait for it", "ls"]


async def test_a_paused_loop_takes_no_step(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    host = GatedHost()
    async with loop_team(paths, temporal, tmp_path, "openai", steps=WAITING, host=host) as team:
        await begun(team, host)
        await team.control.pause_agent(team.fleet, "alice")
        asked = len(team.facts(ev.ModelCalled))
        host.gate.set()
        await team.until(lambda board: "call_long_1_1" in ended(team))
        await team.control.send(team.fleet, "alice", "Are you there?")
        await team.until(lambda board: board.agents["alice"].unread == 1)
        assert len(team.facts(ev.ModelCalled)) == asked, "its model is not asked while it stands still"
        await team.control.resume_agent(team.fleet, "alice")
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert commands(team) == ["wait for it", "ls"]


async def test_a_pause_after_the_command_waits_for_it(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    host = GatedHost()
    async with loop_team(paths, temporal, tmp_path, "openai", steps=WAITING, host=host) as team:
        await begun(team, host)
        await team.control.pause_agent(team.fleet, "alice", after_command=True)
        board = await team.until(lambda board: "after this command" in board.agents["alice"].reason)
        assert not host.paused and board.agents["alice"].state is AgentStatus.RUNNING
        host.gate.set()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.PAUSED)
        await team.until(lambda board: bool(host.paused))
        await team.control.resume_agent(team.fleet, "alice")
        await team.until(lambda board: board.outcome == "completed")


async def test_a_stopped_loop_starts_again_in_its_conversation(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    host = GatedHost()
    async with loop_team(paths, temporal, tmp_path, "anthropic", steps=WAITING, host=host) as team:
        await begun(team, host)
        await team.control.stop_agent(team.fleet, "alice")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.STOPPED)
        assert machine(host).cancelled == ["wait for it"]
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["cancelled"]
        await team.until(lambda board: board.outcome != "")  # she was the only one: the run goes on with her
        await team.control.start_agent(team.fleet, "alice")
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.COMPLETED)
        assert board.agents["alice"].turn >= 2
        assert machine(host).begun == ["wait for it", "ls"], "it went on after what was cut"
        assert len({fact.session for fact in team.facts(ev.SessionOpened)}) == 1


@every_api
@pytest.mark.parametrize("option", ["Allow once", "Deny"])
async def test_a_command_waits_for_the_user(
    paths: Paths, temporal: Client, tmp_path: Path, api: str, option: str
) -> None:
    async with loop_team(paths, temporal, tmp_path, api, steps=ASKING) as team:
        rules = team.project.rules_file(team.project.fleet.agent("alice"))
        rules.parent.mkdir(parents=True, exist_ok=True)
        rules.write_text('---\ncommands: {ask: ["git push *"]}\n---\nBe kind.\n')
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert asked.title == 'alice wants to run "git push origin main"' and asked.permission
        await team.until(lambda board: bool(team.facts(ev.MemoryWritten)))
        assert commands(team) == []
        await team.control.answer(team.fleet, asked.id, Answer(option=option, text="not today"))
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        expected = ["git push origin main", "echo pushed"] if option == "Allow once" else []
        assert commands(team) == expected
        if not expected:
            assert "not today" in ended(team)["call_push_1_1"].output


async def test_a_cancelled_turn_takes_its_question_back(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async with loop_team(paths, temporal, tmp_path, "openai", steps=ASKING) as team:
        rules = team.project.rules_file(team.project.fleet.agent("alice"))
        rules.parent.mkdir(parents=True, exist_ok=True)
        rules.write_text('---\ncommands: {ask: ["git push *"]}\n---\nBe kind.\n')
        await team.start()
        await team.until(lambda board: bool(board.open_interrupts))
        await team.control.cancel_turn(team.fleet, "alice")
        await team.until(lambda board: not board.open_interrupts)
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["cancelled"]
        assert commands(team) == []
