"""The connection to the engine, with all its verbs."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from temporalio.client import Client, RPCError, WorkflowFailureError
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCStatusCode

from app.activities.failures import refused
from app.config import Paths, Project, prepare_project
from app.control.boards import read_board
from app.control.desk import Desk, mark_read
from app.control.letters import Letter
from app.control.orders import UserOrders
from app.control.outcomes import Outcome
from app.control.requests import Requests, connect, engine_trouble
from app.control.revival import over, start_after_the_end
from app.control.starts import fleet_start, keep_team, kept_team, run_started
from app.domain import events as ev
from app.domain.errors import ActionRefused, EngineError, NotFound, SandboxError
from app.domain.events import ENDED
from app.domain.interrupt import Answer, Interrupt
from app.domain.ports import Progress
from app.engine.instance import EngineInfo
from app.engine.process import engine_info, start_engine_process, stop_engine_process
from app.engine.team_orders import reload_order
from app.store.journal import Journal
from app.workflows import steps
from app.workflows.agent import AgentWorkflow
from app.workflows.fleet import FleetWorkflow
from app.workflows.removal import RemovalWorkflow

ENDING_SECONDS = 15.0


class Control:
    """A connection to the engine. Its methods raise SkerryError and nothing else for what a user may meet."""

    def __init__(self, paths: Paths, client: Client, engine: EngineInfo) -> None:
        self._paths = paths
        self._client = client
        self._requests = Requests(client)
        self._journal = Journal(paths.journal_db)
        self._desk = Desk(paths, self._journal, self._requests)
        self._orders = UserOrders(paths, self._journal, self._requests)
        self.engine = engine

    @classmethod
    async def connect(cls, paths: Paths, *, start_engine: bool = True, progress: Progress = lambda words: None) -> Self:
        """Connect to the engine, starting one when there is none. Raises EngineError."""
        info = engine_info(paths)
        if info is None:
            if not start_engine:
                raise EngineError("no engine is running", operation="connect", hint="start one with 'skerry run'")
            info = await start_engine_process(paths, progress)
        client = await connect(info)
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
        start = fleet_start(project, run, rehearse)
        self._journal.put_body(steps.run_body_id(run), start)
        started = run_started(project, run, rehearse)
        keep_team(self._journal, started.id, project)
        self._journal.append(started)
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
            raise engine_trouble(error) from None
        return run

    async def running_run(self, fleet: str) -> str | None:
        """The id of the fleet's run in progress, or None."""
        try:
            description = await self._client.get_workflow_handle(steps.fleet_workflow_id(fleet)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise engine_trouble(error) from None
        if description.close_time is not None:
            return None
        memo = await description.memo()
        return str(memo["run"])

    async def stop_fleet(self, fleet: str, reason: str = "stopped by the user") -> None:
        """Stop all agents of a fleet: turns are cancelled, machines powered off, disks kept."""
        await self._requests.signal(steps.fleet_workflow_id(fleet), FleetWorkflow.stop.__name__, reason, fleet)

    async def stop_agent(self, fleet: str, agent: str, reason: str = "stopped by the user") -> None:
        """Stop one agent."""
        await self._requests.signal(steps.agent_workflow_id(fleet, agent), AgentWorkflow.stop.__name__, reason, agent)

    async def start_agent(self, fleet: str, agent: str) -> None:
        """Start an agent that has ended again: same disk, memory, inbox and conversation.

        A run that has ended goes on with it alone. Raises NotFound when it is not in the newest run, ActionRefused
        when it is at work or the run cannot go on.
        """
        if not await over(self._client, self._journal, fleet):
            handle = self._client.get_workflow_handle(steps.fleet_workflow_id(fleet))
            gone, hint = f"the run of {fleet} has just ended", "try again"
            await self._requests.execute(handle, "start_agent", agent, gone, hint)
        else:
            await start_after_the_end(self._client, self._journal, self._paths, fleet, agent)

    async def pause_agent(self, fleet: str, agent: str, *, to_disk: bool = False, after_command: bool = False) -> None:
        """Hold an agent: its machine stands still at once or ``after_command``, or is saved ``to_disk`` after the turn.

        Raises ActionRefused when it cannot be held.
        """
        order = steps.PauseOrder(to_disk=to_disk, after_command=after_command)
        await self._requests.update(fleet, agent, "pause", order)

    async def resume_agent(self, fleet: str, agent: str) -> None:
        """Let a paused agent go on where it stood."""
        await self._requests.update(fleet, agent, "resume")

    async def reset_agent(self, fleet: str, agent: str) -> None:
        """Give an agent a clean machine; memory and inbox stay, its conversation is given up. Done between turns."""
        await self._requests.update(fleet, agent, "reset")

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
            raise engine_trouble(error) from None
        return True

    async def send(self, fleet: str, recipient: str, body: str, subject: str = "") -> str:
        """Write to an agent as the user; returns the message's id once it is safe in the agent's inbox."""
        return await self.post(fleet, Letter(recipient, body, subject))

    async def post(self, fleet: str, letter: Letter) -> str:
        """Send a message and return its id once it is safe in the agent's inbox.

        The key of a letter is never delivered twice. Raises ActionRefused (what it says cannot be sent, the inbox is
        full) or NotFound (the agent has ended), and then nothing was sent.
        """
        return (await self._desk.post(fleet, letter)).id

    async def ask(self, fleet: str, letter: Letter) -> Outcome:
        """Send a ``sync`` letter and wait for what it awaits; a reply that is returned counts as read.

        Raises ActionRefused, MessageExpired (not read in time), AgentEnded, or ReplyPending: read, and not answered
        yet; the reply comes to the user's messages all the same.
        """
        return await self._desk.ask(fleet, letter)

    async def reply(self, fleet: str, message_id: str, body: str, key: str = "") -> str:
        """Answer a message that an agent wrote to the user; returns the reply's id. Raises NotFound, ActionRefused."""
        return (await self._desk.reply(fleet, message_id, body, key)).id

    async def mark_read(self, message_ids: Sequence[str]) -> None:
        """Put on record that the user has these messages in full before them."""
        await asyncio.to_thread(mark_read, self._paths, self._journal, message_ids)

    async def reload_fleet(self, project: Project) -> ev.FleetReloaded:
        """Make a team at work the one that ``project``, loaded anew, has; returns what that changed.

        Raises NotFound when the team is not at work, ActionRefused while it cannot be changed.
        """
        prepare_project(project)
        run = await self.running_run(project.fleet_id)
        if run is None:
            hint = "start it with 'skerry run'"
            raise NotFound(f"the team of {project.name} is not at work", operation="reload", hint=hint)
        order = reload_order(kept_team(self._journal, project, run), project)
        handle = self._client.get_workflow_handle(steps.fleet_workflow_id(project.fleet_id))
        gone = f"the run of {project.name} has ended"
        await self._requests.execute(handle, "reload", order, gone, "start the team with 'skerry run'")
        told = self._journal.last("fleet_reloaded", fleet=project.fleet_id, run=run)
        if not isinstance(told, ev.FleetReloaded):
            raise EngineError("the reload is not on record", operation="reload", hint="try again")
        keep_team(self._journal, told.id, project)
        return told

    async def answer(self, fleet: str, interrupt_id: str, answer: Answer) -> Interrupt:
        """Answer an interrupt, exactly once; returns it settled.

        Raises NotFound, AlreadyAnswered (saying by whom and when), or ActionRefused when it does not fit the question.
        """
        return await self._orders.answer(fleet, interrupt_id, answer)

    async def answer_alike(self, fleet: str, interrupt_id: str, answer: Answer) -> list[Interrupt]:
        """Answer an interrupt and all open ones of its group alike; those that others were quicker with are left out.

        Raises as ``answer`` does when none could be answered.
        """
        return await self._orders.answer_alike(fleet, interrupt_id, answer)

    async def cancel_turn(self, fleet: str, agent: str) -> None:
        """End an agent's turn now; it then waits for what comes in. Raises ActionRefused when it has none."""
        await self._orders.cancel(fleet, agent, task=False)

    async def cancel_task(self, fleet: str, agent: str) -> None:
        """End an agent's turn, take its questions back, and tell it with its next prompt to drop what it was doing."""
        await self._orders.cancel(fleet, agent, task=True)

    async def instruct(self, fleet: str, agent: str, text: str, mode: Literal["amend", "replace"] = "amend") -> None:
        """Give an agent new instructions, beside those it has or instead; its next turn begins with them."""
        await self._orders.instruct(fleet, agent, text, mode)

    async def approve_all(self, fleet: str, lasting: timedelta, agent: str = "") -> datetime:
        """Approve everything for a while, of one agent or of the team; returns until when. Each is on record.

        Raises ActionRefused for no time, or more than ``MAX_APPROVE_ALL``.
        """
        return await self._orders.approve_all(fleet, lasting, agent)

    async def end_approve_all(self, fleet: str, agent: str = "") -> None:
        """Ask again from now on: for this agent, or the whole team. Raises NotFound when nothing was approved so."""
        await self._orders.end_approve_all(fleet, agent)

    async def stop_engine(self) -> None:
        """End the engine in order. Machines and agents' work stay as they are, for the next engine."""
        await stop_engine_process(self._paths)

    async def close(self) -> None:
        """Let go of the connection."""
        self._journal.close()
