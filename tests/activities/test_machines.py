"""What the crew tells of machines: limits, losses; and that it lets a paused agent be."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client

from app.activities.limit_log import LimitLog
from app.activities.member import machine_name
from app.config import Paths
from app.domain import events as ev
from app.domain.errors import SandboxLost
from app.domain.events import AgentStatus
from app.domain.machines import Notice, Notify, SandboxRequest, unheard
from app.domain.ports import Progress, Sandbox
from app.testing import FakeSandboxHost
from tests.team import Team, Turn


async def test_a_limit_is_told_at_once_and_then_once_a_minute_with_a_count() -> None:
    told: list[tuple[str, int]] = []
    limits = LimitLog(lambda notice, count: told.append((notice.detail, count)), quiet=0.05)
    for number in range(5):
        limits.notify(Notice("memory", f"killed {number}"))
    limits.notify(Notice("disk", "full"))
    assert told == [("killed 0", 1), ("full", 1)]
    await asyncio.sleep(0.08)
    assert told[2:] == [("killed 4", 4)]
    limits.notify(Notice("memory", "killed 5"))
    limits.close()
    assert told[3:] == [("killed 5", 1)]


async def test_limits_and_a_lost_machine_are_facts(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        host, name = team.host, machine_name(team.fleet, turn.agent)
        if turn.agent == "alice" and host.machines[name].note == "fake":
            host.notify[name](Notice("memory", "the kernel killed\x1b python3"))
            host.notify[name](Notice("memory", "again"))
            host.machines[name].note = "started again on its own disk"
            raise SandboxLost("QEMU has ended", operation="run")

    team = Team(paths, temporal, script, replay=False)
    async with team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        machine = [fact for fact in team.facts(ev.SandboxChanged) if fact.agent == "alice" and fact.state != "starting"]
        assert [fact.state for fact in machine] == ["ready", "lost", "ready"]
        assert machine[1].note.startswith("QEMU has ended; it is started again on its own disk")
        assert machine[2].note == "started again on its own disk"
        (limit,) = team.facts(ev.LimitReached)
        assert (limit.limit, limit.agent) == ("memory", "alice")
        assert "\x1b" not in limit.detail
        assert board.agents["alice"].limits_reached == 1
        await team.control.stop_fleet(team.fleet)
        board = await team.until(lambda board: board.outcome != "")
        assert board.agents["alice"].limits_reached == 2, "what was held back is told at the end"


async def test_a_step_of_a_paused_agent_waits(paths: Paths, temporal: Client) -> None:
    """After a crash a turn is tried again: it must not set a paused machine going."""

    async def script(turn: Turn) -> None:
        begun.set()
        await asyncio.Event().wait()

    begun = asyncio.Event()
    async with Team(paths, temporal, script, replay=False) as team:
        await team.start()
        await begun.wait()
        await team.control.pause_agent(team.fleet, "alice")
        (member,) = (member for member in team.roster.values() if member.order.agent == "alice")
        again = asyncio.create_task(team.crew.member(member.order))
        done, _ = await asyncio.wait([again], timeout=0.6)
        assert not done
        assert team.host.paused == {machine_name(team.fleet, "alice")}
        await team.control.resume_agent(team.fleet, "alice")
        assert await again is member


@pytest.mark.parametrize("to_disk", [True, False])
async def test_pauses_are_short_ways(paths: Paths, temporal: Client, to_disk: bool) -> None:
    """Pausing what is gone changes nothing."""
    async with Team(paths, temporal, _rest, replay=False) as team:
        await team.start()
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.IDLE)
        await team.host.stop(machine_name(team.fleet, "bob"))
        await team.control.pause_agent(team.fleet, "bob", to_disk=to_disk)
        await team.control.resume_agent(team.fleet, "bob")
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.IDLE)


async def _rest(turn: Turn) -> None:
    """Nothing to do."""


async def test_a_new_machine_gets_the_workspace_also_at_the_second_try(paths: Paths, temporal: Client) -> None:
    class Failing(FakeSandboxHost):
        """The first start of a machine that was removed leaves a disk, and fails."""

        failures = 0

        async def ensure(self, request: SandboxRequest, progress: Progress, notify: Notify = unheard) -> Sandbox:
            was_absent = request.name not in self.machines
            sandbox = await super().ensure(request, progress, notify)
            if was_absent and self.failures:
                self.failures -= 1
                raise SandboxLost("QEMU has ended", operation="start")
            return sandbox

    host = Failing()
    async with Team(paths, temporal, _rest, host=host, replay=False) as team:
        await team.start()
        await team.until(lambda board: all(view.state is AgentStatus.IDLE for view in board.agents.values()))
        (team.project.sandbox_path(team.project.fleet.agent("bob")) / "seed.txt").write_text("seed")
        await team.control.stop_agent(team.fleet, "bob")
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.STOPPED)
        await team.control.remove_machine(team.fleet, "bob")
        host.failures = 1
        await team.control.start_agent(team.fleet, "bob")
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.IDLE)
        assert host.machines[machine_name(team.fleet, "bob")].files["/workspace/seed.txt"] == b"seed"
