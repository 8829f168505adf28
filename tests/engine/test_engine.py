"""The engine as a process: killed at any time it loses nothing and does nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.config import Paths, Project, load_project
from app.control import Control, engine_info, read_board, stop_engine_process
from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import MessageState
from app.domain.errors import EngineError, EngineRunning
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.engine.instance import lock_holder
from app.store.journal import JournalReader
from app.workflows.steps import HEARTBEAT_TIMEOUT
from tests.team import PROJECT

pytestmark = pytest.mark.slow  # processes start and end


class Scripted:
    """Starts, kills and follows an engine process."""

    def __init__(self, paths: Paths, folder: Path) -> None:
        self.paths = paths
        self.diary = folder / "diary"
        (folder / "agents.yaml").write_text(PROJECT)
        self.project: Project = load_project(folder)
        self.process: subprocess.Popen[bytes] | None = None
        self.program = "tests.engine.scripted_engine"

    async def start(self) -> None:
        command = [sys.executable, "-m", self.program, self.project.fleet_id, str(self.diary)]
        with self.paths.engine_log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
        await self.wait(lambda: engine_info(self.paths) is not None)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def wait(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert self.process is not None
            assert self.process.poll() is None, self.paths.engine_log.read_text()
            assert time.monotonic() < end, self._situation()
            await asyncio.sleep(0.05)

    def _situation(self) -> str:
        facts = "\n".join(str(event)[:200] for event in self.facts()[-15:])
        return f"{facts}\n{self.paths.engine_log.read_text()[-3000:]}"

    def board(self) -> Board:
        return read_board(self.paths, self.project.fleet_id)

    def facts(self) -> list[ev.Event]:
        reader = JournalReader(self.paths.journal_db)
        try:
            return [event for _, event in reader.read(limit=100_000)]
        finally:
            reader.close()

    @asynccontextmanager
    async def control(self) -> AsyncIterator[Control]:
        control = await Control.connect(self.paths, start_engine=False)
        try:
            yield control
        finally:
            await control.close()


@pytest.fixture
async def scripted(paths: Paths, tmp_path: Path) -> AsyncIterator[Scripted]:
    scripted = Scripted(paths, tmp_path)
    yield scripted
    if scripted.process is not None and scripted.process.poll() is None:
        scripted.kill()


async def test_an_engine_starts_serves_and_ends_in_order(scripted: Scripted) -> None:
    with pytest.raises(EngineError, match="no engine is running"):
        await Control.connect(scripted.paths, start_engine=False)
    await scripted.start()
    info = engine_info(scripted.paths)
    assert info is not None
    assert scripted.process is not None
    assert info.pid == scripted.process.pid == lock_holder(scripted.paths.engine_lock)
    assert await stop_engine_process(scripted.paths)
    assert scripted.process.wait(10) == 0
    assert engine_info(scripted.paths) is None
    assert not await stop_engine_process(scripted.paths)
    kinds = [event.kind for event in scripted.facts()]
    assert kinds == ["host_reconciled", "engine_started", "engine_stopped"]
    _assert_no_server_left(info.temporal)


async def test_a_second_engine_is_refused(scripted: Scripted) -> None:
    from app.engine.supervisor import Engine
    from app.testing import FakeSandboxHost, ScriptedRuntime
    from tests.engine.scripted_engine import Agents

    await scripted.start()
    agents = Agents(scripted.paths, "x", scripted.diary)
    second = Engine(
        scripted.paths,
        make_host=lambda paths: FakeSandboxHost(),
        make_runtime=lambda kind: ScriptedRuntime(agents.play),
    )
    assert scripted.process is not None
    with pytest.raises(EngineRunning, match=f"pid {scripted.process.pid}"):
        await second.run()


@pytest.mark.timeout(240)
async def test_killed_in_the_middle_it_carries_on(scripted: Scripted) -> None:
    await scripted.start()
    async with scripted.control() as control:
        run = await control.run_fleet(scripted.project)
    await scripted.wait(lambda: scripted.diary.exists() and "count 1" in scripted.diary.read_text())
    scripted.kill()
    before = engine_info(scripted.paths)
    assert before is None
    await scripted.start()
    await scripted.wait(lambda: bool(scripted.board().open_interrupts))
    scripted.kill()
    await scripted.start()
    async with scripted.control() as control:
        assert await control.run_fleet(scripted.project) == run, "a run in progress is joined, not started again"
        (question,) = scripted.board().open_interrupts
        await control.answer(scripted.project.fleet_id, question.id, Answer(option="yes"))
    await scripted.wait(lambda: scripted.board().outcome != "")
    board = scripted.board()
    assert board.outcome == "completed"
    assert scripted.diary.read_text().split("\n") == ["count 0", "count 1", "count 2", ""]
    (message,) = board.messages.values()
    assert message.state is MessageState.READ
    resumed = [event for event in scripted.facts() if isinstance(event, ev.TurnResumed)]
    assert len(resumed) >= 1
    ids = [event.id for event in scripted.facts()]
    assert len(set(ids)) == len(ids)


@pytest.mark.timeout(240)
async def test_a_pause_survives_the_engine(scripted: Scripted) -> None:
    await scripted.start()
    fleet = scripted.project.fleet_id
    async with scripted.control() as control:
        await control.run_fleet(scripted.project)
        await scripted.wait(scripted.diary.exists)
        await control.pause_agent(fleet, "alice")
    scripted.kill()
    done = scripted.diary.read_text()
    assert "count 2" not in done
    await scripted.start()
    await asyncio.sleep(HEARTBEAT_TIMEOUT.total_seconds() + 3)  # by then Temporal has given the turn to this engine
    assert scripted.diary.read_text() == done
    assert scripted.board().agents["alice"].state is AgentStatus.PAUSED
    async with scripted.control() as control:
        await control.resume_agent(fleet, "alice")
        await scripted.wait(lambda: bool(scripted.board().open_interrupts))
    assert scripted.diary.read_text().split("\n") == ["count 0", "count 1", "count 2", ""]
    resumed = {event.turn for event in scripted.facts() if isinstance(event, ev.TurnResumed)}
    assert resumed == {1}, scripted._situation()  # once, or oftener: a machine that stalls costs a try, never a count


async def test_a_killed_temporal_server_comes_back(scripted: Scripted) -> None:
    await scripted.start()
    info = engine_info(scripted.paths)
    assert info is not None
    os.kill(_server_pid(info.pid), signal.SIGKILL)
    async with scripted.control() as control:
        await control.run_fleet(scripted.project)
        await scripted.wait(lambda: bool(scripted.board().open_interrupts))


async def test_a_person_gets_a_terminal_in_the_machine_of_an_agent_at_work(scripted: Scripted) -> None:
    await scripted.start()
    command = [sys.executable, "-m", "app", "shell", "alice", "-p", str(scripted.project.root)]
    early = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert (early.returncode, early.stdout) == (1, "") and "alice has no machine yet" in early.stderr
    async with scripted.control() as control:
        await control.run_fleet(scripted.project)
    await scripted.wait(lambda: bool(scripted.board().open_interrupts))
    shell = await asyncio.to_thread(subprocess.run, command, input="echo", capture_output=True, text=True)
    assert (shell.returncode, shell.stdout.split(), shell.stderr) == (0, ["80x24", "echo"], "")
    assert await stop_engine_process(scripted.paths)
    assert not scripted.paths.terminals.exists()


def _server_pid(engine: int) -> int:
    (child,) = Path(f"/proc/{engine}/task/{engine}/children").read_text().split()
    return int(child)


def _assert_no_server_left(address: str) -> None:
    import socket

    host, port = address.split(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0, "the Temporal server has outlived its engine"
