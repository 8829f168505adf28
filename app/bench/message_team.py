"""A team for measuring messages: a real server, journal, workflows and tool calls; no machines, no models."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from app.activities.agent_steps import AgentSteps
from app.activities.crew import Crew
from app.activities.mail_room import MailRoom
from app.activities.member import Roster, member_key
from app.activities.tool_calls import ToolCalls
from app.activities.warden import Warden
from app.bench.echo import EchoWorkflow
from app.config import Paths, Project, load_project, prepare_project
from app.domain.ports import ActionResult, TurnObserver, TurnOutcome, TurnRequest
from app.domain.prices import PriceTable
from app.engine.team_orders import declared, plans
from app.engine.temporal_server import TemporalServer, server_version, temporal_binary
from app.engine.worker import make_worker
from app.gateway.server import Gateway
from app.store.database import open_database
from app.store.journal import Journal
from app.store.search_index import SearchIndex
from app.testing import FakeSandboxHost, ScriptedRuntime
from app.workflows import steps
from app.workflows.fleet import FleetWorkflow
from app.workflows.state import FleetRun

_ECHO_QUEUE = "skerry-bench"
_RULES = "---\nmessages: {max_per_hour: 1000000}\n---\nTalk.\n"
_START_SECONDS = 120.0


@dataclass(slots=True)
class MessageTeam:
    """Agents that are all in their first turn, until ``over``; what they do is said from outside, by ``call``."""

    project: Project
    calls: ToolCalls
    client: Client
    begun: set[str] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _fleet: str = field(init=False)

    def __post_init__(self) -> None:
        self._fleet = self.project.fleet_id  # worked out once, as in the engine

    async def call(self, agent: str, tool: str, **arguments: object) -> ActionResult:
        """A tool call as the agent's program makes it."""
        return await self.calls.handle(member_key(self._fleet, agent), tool, arguments, "")

    async def play(self, agent: str, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
        """One turn that lasts as long as the measuring."""
        self.begun.add(agent)
        self.news.set()
        await self.over.wait()
        return TurnOutcome(session=f"session-of-{agent}", stop_reason="end_turn")

    async def all_begun(self) -> None:
        """Wait until every agent is in its turn."""
        async with asyncio.timeout(_START_SECONDS):
            while len(self.begun) < len(self.project.fleet.agents):
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def temporal(paths: Paths) -> AsyncIterator[Client]:
    """A server as the engine starts it, on disk."""
    binary = temporal_binary()
    database = paths.temporal_db(await server_version(binary))
    server = TemporalServer(binary=binary, database=database, log_file=paths.temporal_log)
    try:
        yield await server.start()
    finally:
        await server.stop()


@asynccontextmanager
async def echo(client: Client) -> AsyncIterator[WorkflowHandle[EchoWorkflow, None]]:
    """The floor, ready to be asked."""
    async with Worker(client, task_queue=_ECHO_QUEUE, workflows=[EchoWorkflow]):
        handle = await client.start_workflow(EchoWorkflow.run, id="bench/echo", task_queue=_ECHO_QUEUE)
        yield handle
        await handle.signal(EchoWorkflow.end)
        await handle.result()


@asynccontextmanager
async def at_work(paths: Paths, client: Client, names: list[str]) -> AsyncIterator[MessageTeam]:
    """A team in which each may write to each; all in their turns within, all ended afterwards."""
    project = _project(Path(tempfile.mkdtemp(prefix="bench-", dir=paths.state)), names)
    async with AsyncExitStack() as stack:
        journal = Journal(paths.journal_db)
        stack.callback(journal.close)
        mail = MailRoom.open(journal, paths)
        stack.callback(mail.close)
        memory = open_database(paths.journal_db)
        stack.callback(memory.close)
        roster: Roster = {}
        index = SearchIndex(paths.search_db)
        stack.callback(index.close)
        calls = ToolCalls(roster, mail, client, index)
        stack.push_async_callback(calls.close)
        gateway = Gateway(calls.handle, lambda usage: None, calls.refused)
        stack.push_async_callback(gateway.stop)
        team = MessageTeam(project, calls, client)
        crew = Crew(
            roster,
            host=FakeSandboxHost(),
            gateway=gateway,
            journal=journal,
            memory=memory,
            paths=paths,
            make_runtime=lambda kind: ScriptedRuntime(team.play),
        )
        stack.push_async_callback(crew.close)
        await stack.enter_async_context(
            make_worker(client, AgentSteps(crew, mail, Warden(roster, journal, PriceTable())))
        )
        handle = await _start(client, project)
        await team.all_begun()
        yield team
        team.over.set()
        await handle.signal(FleetWorkflow.stop, "the measuring is over")
        await handle.result()


async def _start(client: Client, project: Project) -> WorkflowHandle[FleetWorkflow, str]:
    start = FleetRun(
        fleet=project.fleet_id,
        run=project.root.name,  # message ids are made of it
        project=project.name,
        project_file=str(project.file),
        agents=plans(declared(project)),
    )
    fleet = steps.fleet_workflow_id(project.fleet_id)
    return await client.start_workflow(FleetWorkflow.run, start, id=fleet, task_queue=steps.TASK_QUEUE)


def _project(folder: Path, names: list[str]) -> Project:
    (folder / "rules.md").write_text(_RULES, encoding="utf-8")
    agents = [f"  - {{id: {name}, direct_communication: [{_others(name, names)}]}}" for name in names]
    head = "project: {name: bench}\ndefaults: {type: codex, rules_file: rules.md}\nagents:\n"
    (folder / "agents.yaml").write_text(head + "\n".join(agents) + "\n", encoding="utf-8")
    project = load_project(folder)
    prepare_project(project)
    return project


def _others(name: str, names: list[str]) -> str:
    return ", ".join(other for other in names if other != name)
