"""Runs that Temporal has lost, or cannot go on with, are started again from the journal.

Temporal carries out; the journal knows. Its database may be deleted, belong to another version of the server, or hold
workflows that this version of Skerry cannot replay: at the engine's start, before anything works, that is put right.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from app.config.project import find_project_file
from app.domain import events as ev
from app.domain.envelope import USER, MessageState
from app.domain.errors import ActionRefused, ConfigError, NotFound, SkerryError
from app.domain.events import AgentStatus
from app.domain.text import first_line
from app.engine.minds import KINDS, Minds, Past, has_ended, let_through, read_pasts, seeds
from app.engine.team_orders import plans
from app.engine.worker import WORKFLOWS, workflow_runner
from app.store.journal import Journal
from app.store.postbox import MessageRow, Postbox
from app.workflows import steps
from app.workflows.fleet import FleetWorkflow
from app.workflows.state import FleetRun, FleetSeed

log = logging.getLogger(__name__)

BEGIN_SECONDS = 10.0
_REMEMBERED = 3000
"""Messages all agents of a run together remember: what a workflow is started with may have 2 MiB."""


async def reseed(journal: Journal, postbox: Postbox, client: Client) -> list[FleetRun]:
    """Start every run again that should go on and does not; returns those. One that fails is logged, others go on."""
    begun: list[FleetRun] = []
    for started in journal.newest_runs():
        if has_ended(journal, started):
            continue
        try:
            why = await _trouble(client, journal, started)
            if why:
                begun += await _start_over(client, journal, postbox, started, why)
        except Exception as error:  # whatever is wrong with one run, the others must be able to go on
            words = "the run %s of %s was not looked after: %s"
            log.error(words, started.run, started.fleet, error, exc_info=not isinstance(error, SkerryError))
    return begun


async def until_at_work(client: Client, runs: Iterable[FleetRun]) -> None:
    """Once a worker is there: wait until the agents of these runs can be asked for something, for a while at most."""
    until = time.monotonic() + BEGIN_SECONDS
    for run in runs:
        ended = run.seed.ended if run.seed is not None else {}
        for plan in run.agents:
            handle = client.get_workflow_handle(steps.agent_workflow_id(run.fleet, plan.id))
            while plan.id not in ended and not await _is_there(handle) and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def revive(client: Client, journal: Journal, postbox: Postbox, fleet: str, agent: str) -> None:
    """Start ``agent`` again in a run that has ended: the run goes on with it alone.

    Raises NotFound when there is no such run or agent, ActionRefused when the run goes on or cannot be started again.
    """
    started = next((item for item in journal.newest_runs() if item.fleet == fleet), None)
    if started is None:
        raise NotFound(f"{fleet} never ran", operation="start", hint="start the team with 'skerry run'")
    if not has_ended(journal, started):
        raise ActionRefused(f"the run of {fleet} goes on", operation="start", hint="see 'skerry status'")
    run = rebuild(journal, postbox, started)
    if run is None or run.seed is None:
        raise ActionRefused("this run was made by an older Skerry", operation="start", hint="use 'skerry run'")
    if agent not in {plan.id for plan in run.agents}:
        hint = "start the team with 'skerry run'"
        raise NotFound(f"the run that has ended was without {agent}", operation="start", hint=hint)
    minds = {**run.seed.minds, agent: run.seed.minds[agent].started_again()}
    ended = {name: how for name, how in run.seed.ended.items() if name != agent}
    seed = run.seed.model_copy(update={"minds": minds, "ended": ended})
    await _start(client, journal, started, run.model_copy(update={"seed": seed}), f"{agent} was started again")


def rebuild(journal: Journal, postbox: Postbox, started: ev.RunStarted) -> FleetRun | None:
    """The run as it stood; None when nothing says how to start it. What was on its way to an inbox is put there."""
    start = _as_it_began(journal, started)
    if start is None:
        return None
    pasts = read_pasts(journal.of_run(started.fleet, started.run, KINDS))
    team = _team(journal, started, start)
    known = {**{plan.id: Past() for plan in team}, **pasts}
    ended = {agent: past.ended for agent, past in known.items() if past.ended is not None}
    _settle_post(journal, postbox, started, known)
    minds = Minds(journal, postbox, remember=max(1, min(500, _REMEMBERED // max(1, len(known)))))
    states = {agent: minds.mind(_order(start, agent), past) for agent, past in known.items()}
    for agent in states.keys() - {plan.id for plan in team} - ended.keys():
        states[agent].stop = "removed from agents.yaml"
    seed = FleetSeed(number=seeds(journal, started) + 1, minds=states, ended=ended)
    return start.model_copy(update={"agents": team, "seed": seed})


async def unreplayable(histories: Iterable[WorkflowHistory]) -> str:
    """Why this version cannot go on with one of these workflows; empty when it can with all."""
    replayer = Replayer(
        workflows=list(WORKFLOWS), workflow_runner=workflow_runner(), data_converter=pydantic_data_converter
    )
    results = await replayer.replay_workflows(_each(histories), raise_on_replay_failure=False)
    return next((first_line(str(failure), 300) for failure in results.replay_failures.values()), "")


def _order(start: FleetRun, agent: str) -> steps.AgentOrder:
    return steps.AgentOrder(
        fleet=start.fleet,
        run=start.run,
        agent=agent,
        project_file=start.project_file,
        rehearsal=start.rehearsal,
    )


def _as_it_began(journal: Journal, started: ev.RunStarted) -> FleetRun | None:
    kept = journal.find_body(steps.run_body_id(started.run), FleetRun)
    if kept is not None or started.rehearsal:
        return kept
    try:
        file = find_project_file(Path(started.root))
    except ConfigError:
        return None
    return FleetRun(
        fleet=started.fleet,
        run=started.run,
        project=started.project,
        project_file=str(file),
        agents=plans(started.agents),
    )


def _team(journal: Journal, started: ev.RunStarted, start: FleetRun) -> tuple[steps.AgentPlan, ...]:
    newest = journal.last("fleet_reloaded", fleet=started.fleet, run=started.run)
    return plans(newest.agents) if isinstance(newest, ev.FleetReloaded) else start.agents


async def _trouble(client: Client, journal: Journal, started: ev.RunStarted) -> str:
    """Why Temporal cannot go on with a run; empty when it can."""
    try:
        description = await client.get_workflow_handle(steps.fleet_workflow_id(started.fleet)).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return "Temporal did not know it: its database is new, or was made by another version"
    memo = await description.memo()
    if str(memo.get("run")) != started.run:
        return "Temporal knew another run only"
    if int(str(memo.get("seed", 0))) != seeds(journal, started):
        return "Temporal had an earlier state of it"
    if description.status is not WorkflowExecutionStatus.RUNNING:
        return "its workflow had ended without the run's end"
    names = [steps.fleet_workflow_id(started.fleet), *await _at_work(client, journal, started)]
    words = await unreplayable([await client.get_workflow_handle(name).fetch_history() for name in names])
    return f"this version cannot go on with its workflows: {words}" if words else ""


async def _at_work(client: Client, journal: Journal, started: ev.RunStarted) -> list[str]:
    """Ids of the agents' workflows that are there."""
    facts = journal.of_run(started.fleet, started.run, ("fleet_reloaded",))
    teams = [started.agents, *(fact.agents for fact in facts if isinstance(fact, ev.FleetReloaded))]
    found = []
    for agent in dict.fromkeys(item.id for team in teams for item in team):
        name = steps.agent_workflow_id(started.fleet, agent)
        try:
            description = await client.get_workflow_handle(name).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            continue
        if description.status is WorkflowExecutionStatus.RUNNING and description.workflow_type == "Agent":
            found.append(name)
    return found


async def _is_there(handle: WorkflowHandle[Any, Any]) -> bool:
    try:
        return (await handle.describe()).close_time is None
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False


async def _start_over(
    client: Client, journal: Journal, postbox: Postbox, started: ev.RunStarted, why: str
) -> list[FleetRun]:
    log.warning("the run %s of %s is started again from the journal: %s", started.run, started.fleet, why)
    # The fleet first: it would take the end of its agents for their own doing.
    for name in (steps.fleet_workflow_id(started.fleet), *await _at_work(client, journal, started)):
        await _terminate(client, name, why)
    run = rebuild(journal, postbox, started)
    if run is None:
        _give_up(journal, started, why)
        return []
    await _start(client, journal, started, run, why)
    return [run]


async def _start(client: Client, journal: Journal, started: ev.RunStarted, run: FleetRun, why: str) -> None:
    number = run.seed.number if run.seed is not None else 0
    # On record first: should we end before it is started, the next engine finds a workflow of an earlier seed, or none.
    journal.append(ev.RunReseeded(**_named(started, f"reseeded/{number}"), seed=number, why=why))
    await client.start_workflow(
        FleetWorkflow.run,
        run,
        id=steps.fleet_workflow_id(started.fleet),
        task_queue=steps.TASK_QUEUE,
        static_summary=f"team of {started.project}",
        memo={"project": started.root, "run": started.run, "seed": number},
    )


async def _terminate(client: Client, name: str, why: str) -> None:
    try:
        await client.get_workflow_handle(name).terminate(reason=why)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # not there, or ended already
            raise


def _settle_post(journal: Journal, postbox: Postbox, started: ev.RunStarted, pasts: dict[str, Past]) -> None:
    """Nobody hands over what was on its way any more: it is delivered here, or refused with the reason."""
    for row in postbox.of_run(started.fleet, started.run, (MessageState.ACCEPTED, MessageState.HELD)):
        sender = pasts.get(row.sender)
        if row.state is MessageState.HELD:
            if sender is not None and sender.ended is None and row.id in {item.message_id for item in sender.open()}:
                continue
            if not let_through(sender, row.id):
                _move(journal, started, row, MessageState.REFUSED, "nobody decided on it before its sender was lost")
                continue
            _move(journal, started, row, MessageState.ACCEPTED, "approved by the user")
        recipient = pasts.get(row.recipient)
        if row.recipient == USER or (recipient is not None and recipient.ended is None):
            _move(journal, started, row, MessageState.DELIVERED)
        else:
            _move(journal, started, row, MessageState.REFUSED, f"{row.recipient} has ended and reads no more messages")


def _move(journal: Journal, started: ev.RunStarted, row: MessageRow, state: MessageState, reason: str = "") -> None:
    agent = row.recipient if state is MessageState.DELIVERED and row.recipient != USER else row.sender
    named = {**_named(started, ""), "id": f"{row.id}/{state.value}", "agent": agent}
    journal.append(ev.MessageMoved(**named, message_id=row.id, state=state, reason=reason))


def _give_up(journal: Journal, started: ev.RunStarted, why: str) -> None:
    """Nothing is kept of how the run began: it cannot go on, and says so."""
    words = f"{why}; it began under an older Skerry, which kept too little to start it again: use 'skerry run'"
    log.error("the run %s of %s is over: %s", started.run, started.fleet, words)
    pasts = read_pasts(journal.of_run(started.fleet, started.run, KINDS))
    for agent in started.agents:
        if agent.id not in pasts or pasts[agent.id].ended is None:
            named = {**_named(started, f"{agent.id}/given-up"), "agent": agent.id}
            journal.append(ev.AgentMoved(**named, state=AgentStatus.FAILED, reason=first_line(words, 300)))
    number = seeds(journal, started)
    name = f"ended/{number}" if number else "ended"
    journal.append(ev.RunEnded(**_named(started, name), outcome="failed"))


def _named(started: ev.RunStarted, what: str) -> dict[str, object]:
    return {"id": f"{started.run}/{what}", "at": datetime.now(UTC), "fleet": started.fleet, "run": started.run}


async def _each(histories: Iterable[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    for history in histories:
        yield history
