"""Pause, resume, stop and start again, reset and remove, on a real Temporal server with scripted agents."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client

from app.activities.member import machine_name
from app.config import Paths
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.errors import ActionRefused, NotFound
from app.domain.events import AgentStatus
from app.domain.ports import ToolActivity
from tests.team import Team, Turn


class Agents:
    """Alice works until she is let go; bob waits for messages, and ends when one says so."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()

    async def play(self, turn: Turn) -> None:
        if turn.agent == "alice" and turn.number == 1:
            self.begun.set()
            await self.go.wait()
        if "End." in turn.prompt:
            await turn.call("finish", summary=f"{turn.agent} is done")


def machine(team: Team, agent: str) -> str:
    return machine_name(team.fleet, agent)


def machine_facts(team: Team, agent: str) -> list[str]:
    return [fact.state for fact in team.facts(ev.SandboxChanged) if fact.agent == agent and fact.state != "starting"]


async def test_pause_in_the_middle_of_a_turn_and_resume(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        await team.start()
        await agents.begun.wait()
        with pytest.raises(ActionRefused, match="alice is not paused"):
            await team.control.resume_agent(team.fleet, "alice")
        await team.control.pause_agent(team.fleet, "alice")
        assert team.host.paused == {machine(team, "alice")}
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.PAUSED)
        assert board.agents["alice"].reason == "by the user"
        assert board.agents["alice"].sandbox == "paused"
        with pytest.raises(ActionRefused, match="alice is paused already"):
            await team.control.pause_agent(team.fleet, "alice", to_disk=True)
        message = await team.control.send(team.fleet, "alice", "End.")
        board = await team.until(lambda board: board.agents["alice"].unread == 1)
        assert board.messages[message].state is MessageState.DELIVERED
        await team.control.resume_agent(team.fleet, "alice")
        assert team.host.paused == set()
        agents.go.set()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.COMPLETED)
        assert [turn.number for turn in team.turns if turn.agent == "alice"] == [1, 2]
        assert machine_facts(team, "alice") == ["ready", "paused", "ready", "stopped"]


async def held_soon(team: Team) -> None:
    await team.control.pause_agent(team.fleet, "alice", after_command=True)
    board = await team.until(lambda board: board.agents["alice"].pausing)
    assert board.agents["alice"].reason == "is paused after this command"
    assert team.host.paused == set()


async def test_pause_after_the_running_command(paths: Paths, temporal: Client) -> None:
    begun, over, again = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def play(turn: Turn) -> None:
        if turn.agent == "alice":
            await turn.observer.tool(ToolActivity("c", "make", "execute", status="in_progress", command="make"))
            begun.set()
            await over.wait()
            await turn.observer.tool(ToolActivity("c", "make", "execute", status="completed", command="make"))
            await again.wait()
        await turn.call("finish", summary="done")

    async with Team(paths, temporal, play) as team:
        await team.start()
        await begun.wait()
        await held_soon(team)
        await team.control.resume_agent(team.fleet, "alice")  # taken back before it came
        await team.until(lambda board: not board.agents["alice"].pausing)
        await held_soon(team)
        over.set()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.PAUSED)
        await team.until(lambda board: team.host.paused == {machine(team, "alice")})
        await team.control.resume_agent(team.fleet, "alice")
        again.set()
        await team.until(lambda board: board.outcome == "completed")


async def test_a_paused_agent_at_rest_gets_no_turn(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        await team.start()
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.IDLE)
        await team.control.pause_agent(team.fleet, "bob")
        assert team.host.paused == {machine(team, "bob")}
        await team.control.send(team.fleet, "bob", "End.")
        await team.until(lambda board: board.agents["bob"].unread == 1)
        await team.control.resume_agent(team.fleet, "bob")
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.COMPLETED)


@pytest.mark.parametrize("turning", [True, False])
async def test_pause_to_disk_waits_for_the_turn(paths: Paths, temporal: Client, turning: bool) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        await team.start()
        await agents.begun.wait()
        if not turning:
            agents.go.set()
            await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        await team.control.pause_agent(team.fleet, "alice", to_disk=True)
        if turning:
            board = await team.until(lambda board: "paused" in board.agents["alice"].reason)
            view = board.agents["alice"]
            assert (view.state, view.reason) == (AgentStatus.RUNNING, "is paused after this turn")
            agents.go.set()
        wanted = "by the user; its machine is saved to disk"
        await team.until(lambda board: board.agents["alice"].reason == wanted)
        assert team.host.suspended == {machine(team, "alice")}
        await team.control.send(team.fleet, "alice", "End.")
        await team.control.resume_agent(team.fleet, "alice")
        assert team.host.suspended == set()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.COMPLETED)
        assert machine_facts(team, "alice") == ["ready", "suspended", "ready", "stopped"]


async def test_a_pause_that_has_not_come_yet_is_taken_back(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        await team.start()
        await agents.begun.wait()
        await team.control.pause_agent(team.fleet, "alice", to_disk=True)
        await team.control.resume_agent(team.fleet, "alice")
        board = await team.until(lambda board: board.agents["alice"].reason == "begins its task")
        assert board.agents["alice"].state is AgentStatus.RUNNING
        agents.go.set()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert team.host.suspended == set()


@pytest.mark.parametrize("to_disk", [True, False])
async def test_a_paused_agent_can_be_stopped(paths: Paths, temporal: Client, to_disk: bool) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        await team.start()
        await agents.begun.wait()
        if to_disk:
            agents.go.set()
            await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        await team.control.pause_agent(team.fleet, "alice", to_disk=to_disk)
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.PAUSED)
        await team.control.stop_agent(team.fleet, "alice")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.STOPPED)
        assert machine(team, "alice") not in team.host.running | team.host.paused | team.host.suspended


async def test_a_stopped_agent_starts_again_with_what_it_had(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        await team.start()
        await agents.begun.wait()
        await team.control.send(team.fleet, "alice", "For later.")
        await team.control.stop_agent(team.fleet, "alice")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.STOPPED)
        made = team.host.made
        await team.control.start_agent(team.fleet, "alice")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert team.host.made == made, "the same machine"
        second = next(turn for turn in team.turns if turn.agent == "alice" and turn.number == 2)
        assert "started again" in second.prompt
        assert "For later." in second.prompt
        assert "Begin." not in second.prompt
        ended = [fact.stop_reason for fact in team.facts(ev.TurnEnded) if fact.agent == "alice"]
        assert ended == ["cancelled", "end_turn"]
        with pytest.raises(NotFound, match="carol is not in this run"):
            await team.control.start_agent(team.fleet, "carol")
        await team.control.stop_fleet(team.fleet)
        await team.until(lambda board: board.outcome == "stopped")
        with pytest.raises(NotFound, match="the run that has ended was without carol") as ended_error:
            await team.control.start_agent(team.fleet, "carol")
        assert "skerry run" in ended_error.value.hint
        await team.control.start_agent(team.fleet, "alice")
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert (board.outcome, board.agents["bob"].state) == ("", AgentStatus.STOPPED)
        assert [turn.number for turn in team.turns if turn.agent == "alice"] == [1, 2, 3]


async def test_reset_makes_a_clean_machine_and_begins_anew(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        await team.start()
        await agents.begun.wait()
        folder = team.project.sandbox_path(team.project.fleet.agent("alice"))
        (folder / "seed.txt").write_text("seed")
        made = team.host.made
        old = team.host.machines[machine(team, "alice")]
        old.files["/workspace/rubbish"] = b"x"
        await team.control.reset_agent(team.fleet, "alice")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert team.host.made == made + 1
        new = team.host.machines[machine(team, "alice")]
        assert new is not old
        assert new.files["/workspace/seed.txt"] == b"seed"
        assert "/workspace/rubbish" not in new.files
        second = next(turn for turn in team.turns if turn.agent == "alice" and turn.number == 2)
        assert second.prompt.startswith("Begin.")
        assert machine_facts(team, "alice") == ["ready", "destroyed", "ready"]


async def test_remove_takes_the_machine_of_an_ended_agent(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play, replay=False) as team:
        await team.start()
        await agents.begun.wait()
        with pytest.raises(ActionRefused, match="alice is at work") as refusal:
            await team.control.remove_machine(team.fleet, "alice")
        assert refusal.value.hint == "stop it first: skerry stop alice"
        await team.control.stop_agent(team.fleet, "alice")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.STOPPED)
        await team.control.remove_machine(team.fleet, "alice")
        assert machine(team, "alice") not in team.host.machines
        assert machine_facts(team, "alice") == ["ready", "stopped", "destroyed"]
        await team.control.start_agent(team.fleet, "alice")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        second = next(turn for turn in team.turns if turn.agent == "alice" and turn.number == 2)
        assert second.prompt.startswith("Begin."), "nothing is left of the first conversation"
