"""A real team for tests: real Temporal server, real journal, real gateway doors; machines and models are scripted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from app.activities.agent_steps import AgentSteps
from app.activities.crew import Crew
from app.activities.mail_room import MailRoom
from app.activities.member import Roster, member_key
from app.activities.tool_calls import ToolCalls
from app.activities.warden import Warden
from app.activities.watch import Watch, watching
from app.config import Paths, Project, load_project
from app.control import Control, read_board
from app.domain.board import Board
from app.domain.errors import NotFound
from app.domain.events import Event
from app.domain.fleet import AgentSpec
from app.domain.ports import ActionResult, AgentRuntime, TurnObserver, TurnOutcome, TurnRequest
from app.domain.prices import PriceTable
from app.engine.instance import EngineInfo, InstanceLock, write_ready
from app.engine.worker import WORKFLOWS, make_worker, workflow_runner
from app.gateway.server import Gateway
from app.store.database import open_database
from app.store.journal import Journal
from app.store.search_index import SearchIndex
from app.testing import FakeSandboxHost, ScriptedRuntime
from app.workflows.steps import agent_workflow_id, fleet_workflow_id

PROJECT = """
project: {name: demo}
agents:
  - id: alice
    type: codex
    direct_communication: [bob]
    initial_instructions: Begin.
  - id: bob
    type: codex
    initial_instructions: Wait for alice.
"""


@dataclass
class Turn:
    """What a test's script sees of one turn."""

    agent: str
    prompt: str
    number: int
    observer: TurnObserver
    call: Callable[..., Awaitable[ActionResult]]


Script = Callable[[Turn], Awaitable[None]]


@dataclass
class Team:
    """Starts and follows one fleet."""

    paths: Paths
    client: Client
    script: Script
    host: FakeSandboxHost = field(default_factory=FakeSandboxHost)
    text: str = PROJECT
    turns: list[Turn] = field(default_factory=list)
    replay: bool = True
    """Whether the histories it makes are replayed at the end."""
    block_seconds: float = 45.0
    """How long one tool call may wait."""
    prices: PriceTable = field(default_factory=PriceTable)
    runtimes: Callable[[AgentSpec], AgentRuntime] | None = None
    """The real ones, for agents that are no scripts."""
    rehearsal: str | None = None
    """A scenario whose scripted model stands behind the doors, for scripts that ask it."""

    async def __aenter__(self) -> Team:
        folder = self.paths.state / "project"
        folder.mkdir(exist_ok=True)
        (folder / "agents.yaml").write_text(self.text)
        self.project: Project = load_project(folder)
        self.stack = AsyncExitStack()
        self.journal = Journal(self.paths.journal_db)
        self.roster: Roster = {}
        self.mail = MailRoom.open(self.journal, self.paths)
        self.index = SearchIndex(self.paths.search_db)
        self.stack.callback(self.index.close)
        self.calls = ToolCalls(self.roster, self.mail, self.client, self.index, block_seconds=self.block_seconds)
        self.warden = Warden(self.roster, self.journal, self.prices)
        self.gateway = Gateway(self.calls.handle, self.warden.metered, self.calls.refused, self.warden.gate)
        memory = open_database(self.paths.journal_db)
        self.stack.callback(memory.close)
        self.stack.callback(self.journal.close)
        self.stack.callback(self.mail.close)
        self.stack.push_async_callback(self.calls.close)
        self.stack.push_async_callback(self.gateway.stop)
        self.crew = Crew(
            self.roster,
            host=self.host,
            gateway=self.gateway,
            journal=self.journal,
            memory=memory,
            paths=self.paths,
            make_runtime=self.runtimes or (lambda kind: ScriptedRuntime(self._play)),
        )
        self.stack.push_async_callback(self.crew.close)
        await self.stack.enter_async_context(make_worker(self.client, AgentSteps(self.crew, self.mail, self.warden)))
        await self.stack.enter_async_context(watching(Watch(self.roster, self.warden, self.client)))
        self.control = Control(self.paths, self.client, EngineInfo(0, "test", "", "", ""))
        self.stack.push_async_callback(self.control.close)
        return self

    async def __aexit__(self, *error: Any) -> None:
        async with self.stack:
            if await self.control.running_run(self.fleet) is not None:
                with contextlib.suppress(NotFound):  # it has ended since
                    await self.control.stop_fleet(self.fleet)
                await self.until(lambda board: board.outcome != "")
            if self.replay:
                await self._replay()

    @contextlib.contextmanager
    def announced(self) -> Iterator[None]:
        """Within: other processes, and the command line in this one, take us for a running engine."""
        config = self.client.service_client.config
        info = EngineInfo(os.getpid(), "test", config.target_host, "http://127.0.0.1:1", "")
        with InstanceLock(self.paths.engine_lock):
            write_ready(self.paths.engine_ready, info)
            yield
            self.paths.engine_ready.unlink()

    @property
    def fleet(self) -> str:
        return self.project.fleet_id

    async def start(self) -> str:
        return await self.control.run_fleet(self.project, self.rehearsal)

    async def until(self, holds: Callable[[Board], bool], seconds: float = 30.0) -> Board:
        """The board as soon as something holds of it."""
        end = time.monotonic() + seconds
        while True:
            board = read_board(self.paths, self.fleet)
            if holds(board):
                return board
            if time.monotonic() > end:
                states = {name: (view.state.value, view.reason) for name, view in board.agents.items()}
                raise AssertionError(f"not within {seconds} s; agents: {states}; messages: {board.messages}")
            await asyncio.sleep(0.05)

    async def _replay(self) -> None:
        """Every history a test makes replays; with SKERRY_RECORD_HISTORIES they are kept for later releases."""
        names = [agent_workflow_id(self.fleet, agent.id) for agent in self.project.fleet.agents]
        histories = {
            name: await self.client.get_workflow_handle(name).fetch_history()
            for name in (fleet_workflow_id(self.fleet), *names)
        }
        replayer = Replayer(
            workflows=list(WORKFLOWS), workflow_runner=workflow_runner(), data_converter=pydantic_data_converter
        )
        await replayer.replay_workflows(_each(histories.values()))
        if folder := os.environ.get("SKERRY_RECORD_HISTORIES"):
            self._record(Path(folder), histories)

    def _record(self, folder: Path, histories: dict[str, WorkflowHistory]) -> None:
        test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0].split("[")[0]
        for name, history in histories.items():
            leaf = name.replace(self.fleet, "demo").replace("/", "-")
            text = json.dumps(json.loads(history.to_json()), separators=(",", ":"))
            # Workers sign with this machine's name; it is nobody's business.
            text = text.replace(f"@{socket.gethostname()}", "@test")
            folder.joinpath(f"{test.removeprefix('test_')}.{leaf}.json").write_text(text + "\n")

    def facts(self, kind: type[Event]) -> list[Any]:
        return [event for _, event in self.journal.read(limit=100_000) if isinstance(event, kind)]

    async def _play(self, agent: str, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
        async def call(name: str, **arguments: object) -> ActionResult:
            return await self.calls.handle(member_key(self.fleet, agent), name, arguments, f"call-{name}")

        seen = Turn(agent, turn.prompt, turn.turn, observer, call)
        self.turns.append(seen)
        await self.script(seen)
        return TurnOutcome(session=f"session-of-{agent}", stop_reason="end_turn", input_tokens=7, output_tokens=3)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


async def _each(histories: Iterable[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    for history in histories:
        yield history
