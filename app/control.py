"""Every button a person could press, as a typed async method: the one door for the window and the command line."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from temporalio.client import Client, RPCError, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCStatusCode

from app.activities.failures import refused
from app.config import Paths, Project, prepare_project
from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import USER, Envelope, check_envelope, reference
from app.domain.errors import ActionRefused, AlreadyAnswered, EngineError, NotFound, SandboxError, SkerryError
from app.domain.events import ENDED
from app.domain.interrupt import Answer, Interrupt, settle
from app.domain.ports import Progress
from app.engine.instance import EngineInfo
from app.engine.process import engine_info, engine_was_killed, start_engine_process, stop_engine_process
from app.store.journal import Journal, JournalReader
from app.workflows import steps
from app.workflows.agent import AgentWorkflow
from app.workflows.fleet import FleetWorkflow
from app.workflows.removal import RemovalWorkflow
from app.workflows.state import FleetRun

__all__ = [
    "Control",
    "engine_info",
    "engine_was_killed",
    "read_board",
    "start_engine_process",
    "stop_engine_process",
]

CONNECT_SECONDS = 10.0
ENDING_SECONDS = 15.0


def read_board(paths: Paths, fleet: str) -> Board:
    """The board of a fleet's newest run, folded from the journal; no engine is needed."""
    board, reader, after = Board(fleet), JournalReader(paths.journal_db), 0
    try:
        while batch := reader.read(after):
            after = batch[-1][0]
            board.apply_all(event for _, event in batch)
    finally:
        reader.close()
    return board


class Control:
    """A connection to the engine. Its methods raise SkerryError and nothing else for what a user may meet."""

    def __init__(self, paths: Paths, client: Client, engine: EngineInfo) -> None:
        self._paths = paths
        self._client = client
        self._journal = Journal(paths.journal_db)
        self.engine = engine

    @classmethod
    async def connect(cls, paths: Paths, *, start_engine: bool = True, progress: Progress = lambda words: None) -> Self:
        """Connect to the engine, starting one when there is none. Raises EngineError."""
        info = engine_info(paths)
        if info is None:
            if not start_engine:
                raise EngineError("no engine is running", operation="connect", hint="start one with 'skerry run'")
            info = await start_engine_process(paths, progress)
        client = await _connect(info)
        return cls(paths, client, info)

    async def run_fleet(self, project: Project, rehearse: str | None = None) -> str:
        """Start the project's team and return the run's id; a team that runs already is joined.

        ``rehearse`` is the path of a scenario whose scripted model stands in for the provider.
        """
        prepare_project(project)
        running = await self.running_run(project.fleet_id)
        if running is not None:
            return running
        run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        start = _fleet_start(project, run, rehearse)
        self._journal.put_body(steps.run_body_id(run), start)
        self._journal.append(_run_started(project, run, rehearse))
        try:
            await self._client.start_workflow(
                FleetWorkflow.run,
                start,
                id=steps.fleet_workflow_id(project.fleet_id),
                task_queue=steps.TASK_QUEUE,
                static_summary=f"team of {project.name}",
                memo={"project": str(project.root), "run": run},
            )
        except WorkflowAlreadyStartedError:
            raise ActionRefused(f"{project.name} was started by someone else just now", operation="run") from None
        except RPCError as error:
            raise _engine_trouble(error) from None
        return run

    async def running_run(self, fleet: str) -> str | None:
        """The id of the fleet's run in progress, or None."""
        try:
            description = await self._client.get_workflow_handle(steps.fleet_workflow_id(fleet)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise _engine_trouble(error) from None
        if description.close_time is not None:
            return None
        memo = await description.memo()
        return str(memo["run"])

    async def stop_fleet(self, fleet: str, reason: str = "stopped by the user") -> None:
        """Stop all agents of a fleet: turns are cancelled, machines powered off, disks kept."""
        await self._signal(steps.fleet_workflow_id(fleet), FleetWorkflow.stop.__name__, reason, fleet)

    async def stop_agent(self, fleet: str, agent: str, reason: str = "stopped by the user") -> None:
        """Stop one agent."""
        await self._signal(steps.agent_workflow_id(fleet, agent), AgentWorkflow.stop.__name__, reason, agent)

    async def start_agent(self, fleet: str, agent: str) -> None:
        """Start an agent that has ended again, in a run that goes on: same disk, memory, inbox and conversation."""
        handle = self._client.get_workflow_handle(steps.fleet_workflow_id(fleet))
        name, hint = "start_agent", "start the team with 'skerry run'"
        await self._execute(handle, name, agent, f"the run of {fleet} has ended: no agent of it can be started", hint)

    async def pause_agent(self, fleet: str, agent: str, *, to_disk: bool = False) -> None:
        """Hold an agent: its machine stands still at once, or is saved ``to_disk`` after the turn."""
        await self._update(fleet, agent, "pause", steps.PauseOrder(to_disk=to_disk))

    async def resume_agent(self, fleet: str, agent: str) -> None:
        """Let a paused agent go on where it stood."""
        await self._update(fleet, agent, "resume")

    async def reset_agent(self, fleet: str, agent: str) -> None:
        """Give an agent a clean machine; memory and inbox stay, its conversation is given up. Done between turns."""
        await self._update(fleet, agent, "reset")

    async def remove_machine(self, fleet: str, agent: str) -> None:
        """Take the machine of an agent that is not at work away, with its disk; one at work is refused."""
        board = await asyncio.to_thread(read_board, self._paths, fleet)
        order = steps.AgentOrder(fleet=fleet, run=board.run, agent=agent, project_file="")
        view = board.agents.get(agent)
        # An agent that has ended is over a moment after its last fact.
        until = time.monotonic() + (ENDING_SECONDS if view is not None and view.state in ENDED else 0)
        while not await self._remove(order):
            if time.monotonic() >= until:
                hint = f"stop it first: skerry stop {agent}"
                raise ActionRefused(f"{agent} is at work", operation="remove", hint=hint)
            await asyncio.sleep(0.2)

    async def _remove(self, order: steps.AgentOrder) -> bool:
        """False when the agent's workflow is still there."""
        try:
            await self._client.execute_workflow(
                RemovalWorkflow.run,
                order,
                id=steps.agent_workflow_id(order.fleet, order.agent),
                task_queue=steps.TASK_QUEUE,
                static_summary=f"removes the machine of {order.agent}",
            )
        except WorkflowAlreadyStartedError:
            return False
        except WorkflowFailureError as error:
            words = f"the machine of {order.agent} is still there: {refused(error)[1]}"
            raise SandboxError(words, operation="remove") from None
        except RPCError as error:
            raise _engine_trouble(error) from None
        return True

    async def send(self, fleet: str, recipient: str, body: str, subject: str = "") -> str:
        """Write to an agent as the user; returns the message's id once it is safe in the agent's inbox."""
        message_id = f"m-{secrets.token_hex(6)}"
        envelope = Envelope(
            id=message_id,
            sender=USER,
            recipient=recipient,
            subject=subject.strip(),
            body=body,
            correlation_id=message_id,
            sent_at=datetime.now(UTC),
        )
        check_envelope(envelope)
        self._journal.put_body(message_id, envelope)
        await self._update(fleet, recipient, "receive", reference(envelope), update_id=message_id)
        return message_id

    async def answer(self, fleet: str, interrupt_id: str, answer: Answer) -> Interrupt:
        """Answer an interrupt, exactly once; returns it settled.

        Raises NotFound, AlreadyAnswered, or ActionRefused when the answer does not fit the question.
        """
        board = await asyncio.to_thread(read_board, self._paths, fleet)
        interrupt = board.interrupts.get(interrupt_id)
        if interrupt is None:
            known = ", ".join(item.id for item in board.open_interrupts) or "none is open"
            raise NotFound(f"there is no interrupt {interrupt_id!r}", operation="answer", hint=known)
        settled = settle(interrupt, answer)
        body = f"answer/{interrupt_id}/{secrets.token_hex(4)}"
        self._journal.put_body(body, settled)
        order = steps.AnswerOrder(
            interrupt_id=interrupt_id, body=body, action=answer.action, option=answer.option, by=answer.by
        )
        await self._update(fleet, interrupt.agent, "answer", order, update_id=body)
        return settled

    async def stop_engine(self) -> None:
        """End the engine in order. Machines and agents' work stay as they are, for the next engine."""
        await stop_engine_process(self._paths)

    async def close(self) -> None:
        """Let go of the connection."""
        self._journal.close()

    async def _update(self, fleet: str, agent: str, name: str, order: object = None, *, update_id: str = "") -> None:
        handle = self._client.get_workflow_handle(steps.agent_workflow_id(fleet, agent))
        gone = f"{agent} is not at work in {fleet}"
        await self._execute(handle, name, order, gone, "see 'skerry status'", update_id=update_id)

    async def _execute(
        self,
        handle: WorkflowHandle[Any, Any],
        name: str,
        order: object,
        gone: str,
        hint: str,
        *,
        update_id: str = "",
    ) -> None:
        """Ask a workflow. ``gone`` and ``hint`` are said when it is not there."""
        try:
            await handle.execute_update(name, args=[] if order is None else [order], id=update_id or None)
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(gone, operation=name, hint=hint) from None
            raise _engine_trouble(error) from None

    async def _signal(self, workflow_id: str, name: str, reason: str, what: str) -> None:
        try:
            await self._client.get_workflow_handle(workflow_id).signal(name, reason)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(f"{what} is not at work", operation="stop", hint="see 'skerry status'") from None
            raise _engine_trouble(error) from None


async def _connect(info: EngineInfo) -> Client:
    """A client; patient, as the engine starts a Temporal server that died again within a second."""
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return await Client.connect(info.temporal, data_converter=pydantic_data_converter)
        except RuntimeError as error:
            if time.monotonic() > until:
                raise EngineError(
                    f"the engine's Temporal server at {info.temporal} does not answer: {error}",
                    operation="connect",
                    hint="try again; if it stays so, 'skerry stop' and start again",
                ) from None
            await asyncio.sleep(0.2)


def _fleet_start(project: Project, run: str, rehearse: str | None) -> FleetRun:
    plans = tuple(
        steps.AgentPlan(id=agent.id, recipients=agent.direct_communication, indirect=agent.indirect_communication)
        for agent in project.fleet.agents
    )
    return FleetRun(
        fleet=project.fleet_id,
        run=run,
        project=project.name,
        project_file=str(project.file),
        rehearsal=rehearse or "",
        agents=plans,
    )


def _run_started(project: Project, run: str, rehearse: str | None) -> ev.RunStarted:
    agents = tuple(
        ev.AgentDeclared(
            id=agent.id,
            type=agent.type,
            description=agent.description,
            model=agent.model or "",
            recipients=agent.direct_communication,
            indirect=agent.indirect_communication,
        )
        for agent in project.fleet.agents
    )
    return ev.RunStarted(
        id=f"{run}/started",
        at=datetime.now(UTC),
        fleet=project.fleet_id,
        run=run,
        project=project.name,
        root=str(project.root),
        agents=agents,
        rehearsal=Path(rehearse).stem if rehearse else "",
    )


def _refusal(error: WorkflowUpdateFailedError) -> SkerryError:
    code, words = refused(error)
    kinds: dict[str, type[SkerryError]] = {"already_answered": AlreadyAnswered, "not_found": NotFound}
    return kinds.get(code, ActionRefused)(words, operation="ask the agent")


def _engine_trouble(error: RPCError) -> EngineError:
    return EngineError(
        f"the engine did not take it: {error.message}", operation="ask the engine", hint="try again in a moment"
    )
