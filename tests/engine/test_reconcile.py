"""What an engine does at its start with the machines it finds, and what it measures while it runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from app.activities.member import machine_name
from app.config import Paths
from app.control import read_board
from app.domain import events as ev
from app.domain.errors import HostError
from app.domain.events import AgentStatus
from app.domain.machines import MachineUsage
from app.engine.reconcile import reconcile
from app.engine.usage import UsageSampler
from app.store.journal import Journal
from app.store.usage import UsageSample, UsageTable, read_usage
from app.testing import EventBuilder, FakeSandbox, FakeSandboxHost
from tests.team import Team, Turn


async def work(turn: Turn) -> None:
    """Everybody waits."""


async def test_lost_machines_are_told_and_leftovers_removed(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, work, replay=False) as team:
        await team.start()
        await team.until(lambda board: all(view.state is AgentStatus.IDLE for view in board.agents.values()))
        await team.control.stop_agent(team.fleet, "bob")
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.STOPPED)
        lost, kept, old = (machine_name(team.fleet, name) for name in ("alice", "bob", "carol"))
        team.host.running.discard(lost)
        for name in (old, "other-1a2b3c.dave", "template-0123456789ab"):
            team.host.machines[name] = FakeSandbox(name)
        team.host.running.add("other-1a2b3c.dave")

        await reconcile(team.host, team.journal, temporal, paths.machines)

        assert set(team.host.machines) == {lost, kept, "other-1a2b3c.dave"}, "an unknown fleet's machine is left alone"
        (found,) = team.facts(ev.HostReconciled)
        assert found.lost == (lost,)
        assert [name for _, name, _ in found.removed] == [old, "template-0123456789ab"]
        view = read_board(paths, team.fleet).agents["alice"]
        assert view.sandbox == "lost"
        assert "started again on its own disk" in view.sandbox_note
        assert read_board(paths, team.fleet).agents["bob"].sandbox == "stopped"


async def test_nothing_is_expected_of_a_run_temporal_does_not_know(paths: Paths, temporal: Client) -> None:
    journal, facts, host = Journal(paths.journal_db), EventBuilder(), FakeSandboxHost()
    journal.append(facts.run_started("alice"), facts.moved("alice", AgentStatus.IDLE))
    name = machine_name(facts.fleet, "alice")
    host.machines[name] = FakeSandbox(name)
    await reconcile(host, journal, temporal, paths.machines)
    assert set(host.machines) == {name}
    found = journal.last("host_reconciled", fleet="", run="")
    assert isinstance(found, ev.HostReconciled)
    assert (found.lost, found.removed) == ((), ())
    journal.close()


async def test_a_host_that_cannot_compare_does_not_stop_the_engine(paths: Paths, temporal: Client) -> None:
    class Broken(FakeSandboxHost):
        async def names(self) -> list[str]:
            raise HostError("libvirt does not answer")

    journal = Journal(paths.journal_db)
    await reconcile(Broken(), journal, temporal, paths.machines)
    assert journal.last("host_reconciled", fleet="", run="") is None
    journal.close()


class Measured(FakeSandboxHost):
    """Machines that use half a processor; the host may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.broken = False

    async def usage(self, name: str) -> MachineUsage | None:
        if self.broken:
            raise HostError("libvirt does not answer")
        return MachineUsage(cpu_seconds=self.seconds, memory_bytes=64 * 2**20, disk_bytes=2**20)


async def test_usage_is_measured(paths: Paths) -> None:
    host, table, tended = Measured(), UsageTable(paths.journal_db), []
    host.running.add("demo-000000.alice")

    async def tend(name: str) -> None:
        tended.append(name)

    sampler = UsageSampler(host, table, (tend,))
    await sampler.sample()
    assert read_usage(paths.journal_db)["demo-000000.alice"].cpu_percent is None
    await asyncio.sleep(0.1)
    host.seconds = 0.05
    await sampler.sample()
    sample = read_usage(paths.journal_db)["demo-000000.alice"]
    assert sample.cpu_percent is not None
    assert 0 < sample.cpu_percent <= 50
    assert (sample.memory_bytes, sample.disk_bytes) == (64 * 2**20, 2**20)
    host.seconds = 0.0
    await sampler.sample()
    assert read_usage(paths.journal_db)["demo-000000.alice"].cpu_percent is None, "the machine was started again"
    assert tended == ["demo-000000.alice"] * 3
    assert read_usage(paths.journal_db, datetime.now(UTC) + timedelta(seconds=31)) == {}, "old figures are not shown"
    table.close()


async def test_measuring_survives_a_host_that_fails(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.usage.SAMPLE_SECONDS", 0.01)
    host, table = Measured(), UsageTable(paths.journal_db)
    host.running.add("demo-000000.alice")
    host.broken = True
    task = asyncio.create_task(UsageSampler(host, table).run())
    await asyncio.sleep(0.05)
    host.broken = False
    async with asyncio.timeout(5):
        while not read_usage(paths.journal_db):  # noqa: ASYNC110  # a table makes no noise
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    table.close()


def test_the_table_does_not_grow(paths: Paths) -> None:
    table, now = UsageTable(paths.journal_db), datetime.now(UTC)
    old = now - timedelta(hours=2)
    table.put([UsageSample("a.b", old, 1.0, 1, 1), UsageSample("a.c", old, 1.0, 1, 1)], old)
    table.put([UsageSample("a.b", now, 2.0, 1, 1)], now)
    assert read_usage(paths.journal_db, old) == {"a.b": UsageSample("a.b", now, 2.0, 1, 1)}
    table.close()


def test_there_may_be_no_file(paths: Paths) -> None:
    assert read_usage(paths.journal_db) == {}
