"""The team: starts one workflow an agent, passes a stop on, and ends when all of them have ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.workflows import steps, visible
    from app.workflows.agent import AgentWorkflow
    from app.workflows.state import AgentEnd, AgentStart, AgentState, FleetRun, FleetSeed

AgentHandle = workflow.ChildWorkflowHandle[AgentWorkflow, AgentEnd | str]

MAX_EVENTS = 10_000
"""Length of a fleet's history from which on its team cannot be changed any more.

A fleet does not continue as new: its agents would tell a run that is gone of their end. It need not: its history grows
with what people do to the team only (a start of an agent is about 20 events, a reload 10 and 10 an agent), not with
what the agents do. This bound leaves Temporal's own, 51,200 events and 2,000 updates, out of reach.
"""

_REMOVED = "removed from agents.yaml"


@workflow.defn(name="Fleet")
class FleetWorkflow:
    """One run of one project's team."""

    @workflow.init
    def __init__(self, start: FleetRun) -> None:
        self._start = start
        self._seed = start.seed or FleetSeed(number=0, minds={})
        self._plans = {plan.id: plan for plan in start.agents}
        self._agents: dict[str, AgentHandle] = {}
        self._starting: set[str] = set()
        self._ready = False
        self._reloading = False
        self._reloads = 0
        self._stop = ""

    @workflow.run
    async def run(self, start: FleetRun) -> str:
        """Returns how the run ended: completed, stopped or failed."""
        self._show("running")
        for agent in (*self._plans, *(agent for agent in self._seed.minds if agent not in self._plans)):
            if agent not in self._seed.ended:
                await self._start_agent(agent, self._seed.minds.get(agent))
        self._ready = True
        if self._stop:
            await self._pass_stop_on()
        await workflow.wait_condition(self._all_ended)
        outcome = _outcome([self._ending(agent) for agent in self._plans])
        await self._record(ev.RunEnded(**self._named(f"ended{self._suffix}"), outcome=outcome))
        self._show(outcome)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return outcome

    @workflow.signal
    async def stop(self, reason: str) -> None:
        """Stop every agent; running turns are cancelled."""
        self._stop = reason or "stopped"
        if self._ready:
            await self._pass_stop_on()

    @workflow.update
    async def start_agent(self, agent: str) -> None:
        """Start an agent that has ended again: same disk, memory, inbox and conversation."""
        self._starting.add(agent)
        try:
            await workflow.wait_condition(lambda: self._ready)
            await self._start_again(agent)
        finally:
            self._starting.discard(agent)
        if self._stop:
            await self._pass_stop_on()

    @start_agent.validator
    def _may_start(self, agent: str) -> None:
        if agent not in self._plans:
            raise ApplicationError(f"{agent} is not in this run", type="not_found")
        if agent in self._starting:
            raise ApplicationError(f"{agent} is being started", type="refused")
        self._may_change()

    @workflow.update
    async def reload(self, order: steps.ReloadOrder) -> None:
        """Make the team what agents.yaml has now: start who was added, stop who was removed, tell the others."""
        self._reloading = True
        try:
            await workflow.wait_condition(lambda: self._ready)
            await self._change_team(order)
        finally:
            self._reloading = False
        if self._stop:
            await self._pass_stop_on()

    @reload.validator
    def _may_reload(self, order: steps.ReloadOrder) -> None:
        ids = [plan.id for plan in order.agents]
        if not ids or len(set(ids)) < len(ids) or {item.id for item in order.declared} != set(ids):
            raise ApplicationError("a team has one agent at least, and each id once", type="refused")
        if self._reloading or self._starting:
            raise ApplicationError("the team is being changed", type="refused")
        self._may_change()

    def _may_change(self) -> None:
        if self._stop or (self._ready and self._all_ended()):
            raise ApplicationError("the team is ending", type="refused")
        if workflow.info().get_current_history_length() > MAX_EVENTS:
            raise ApplicationError("this run was changed too often: end it and start a new one", type="refused")

    async def _change_team(self, order: steps.ReloadOrder) -> None:
        new = {plan.id: plan for plan in order.agents}
        added = [agent for agent in new if agent not in self._plans]
        removed = [agent for agent in self._plans if agent not in new]
        changed = [agent for agent in order.changed if agent in new and agent not in added]
        for agent in added:  # before anything is said or done: this may be refused
            await self._wait_for_its_end(agent)
            self._mind(agent)
        self._plans = new
        self._reloads += 1
        named = self._named(f"reloaded{self._suffix}/{self._reloads}")
        lists = {"added": tuple(added), "removed": tuple(removed), "changed": tuple(changed)}
        later = tuple(agent for agent in order.later if agent in changed)
        await self._record(ev.FleetReloaded(**named, agents=order.declared, **lists, later=later))
        for agent in added:  # before the others hear of them: they may write at once
            await self._start_again(agent)
        for agent in removed:
            await self._tell(agent, AgentWorkflow.stop.__name__, _REMOVED)
        for agent, plan in new.items():
            if agent not in added:
                await self._tell(
                    agent, AgentWorkflow.change_plan.__name__, steps.PlanOrder(plan=plan, team=frozenset(new))
                )

    async def _start_again(self, agent: str) -> None:
        """Start an agent from where it ended; from the beginning when it is new."""
        await self._wait_for_its_end(agent)
        mind = self._mind(agent)
        await self._start_agent(agent, None if mind is None else mind.started_again())

    def _all_ended(self) -> bool:
        busy = self._starting or self._reloading
        return not busy and all(handle.done() for handle in self._agents.values())

    async def _wait_for_its_end(self, agent: str) -> None:
        """Its last fact is recorded a moment before it is over."""
        handle = self._agents.get(agent)
        if handle is None:
            return
        try:
            await workflow.wait_condition(handle.done, timeout=steps.END_TIMEOUT)
        except TimeoutError:
            raise ApplicationError(f"{agent} is at work", type="refused") from None

    async def _start_agent(self, agent: str, state: AgentState | None) -> None:
        start = self._start
        order = AgentStart(
            fleet=start.fleet,
            run=start.run,
            project_file=start.project_file,
            rehearsal=start.rehearsal,
            plan=self._plans.get(agent) or steps.AgentPlan(id=agent),
            team=frozenset(self._plans),
            state=state,
        )
        try:
            self._agents[agent] = await workflow.start_child_workflow(
                AgentWorkflow.run,
                order,
                id=steps.agent_workflow_id(start.fleet, agent),
                parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
                static_summary=f"agent {agent} of {start.project}",
            )
        except WorkflowAlreadyStartedError:
            raise ApplicationError(f"the machine of {agent} is being removed", type="refused") from None

    async def _pass_stop_on(self) -> None:
        for agent in list(self._agents):
            await self._tell(agent, AgentWorkflow.stop.__name__, self._stop)

    async def _tell(self, agent: str, signal: str, order: object) -> None:
        handle = self._agents.get(agent)
        if handle is None or handle.done():
            return
        try:
            await handle.signal(signal, order)
        except ApplicationError:
            workflow.logger.info("%s had ended before the %s reached it", handle.id, signal)

    async def _record(self, fact: ev.Event) -> None:
        await workflow.execute_local_activity(
            steps.RECORD,
            steps.RecordBatch(facts=(fact,)),
            start_to_close_timeout=steps.RECORD_TIMEOUT,
            schedule_to_close_timeout=timedelta(hours=1),
        )

    @property
    def _suffix(self) -> str:
        """What makes facts of a run that was started again other ones."""
        return f"/{self._seed.number}" if self._seed.number else ""

    def _named(self, what: str) -> dict[str, object]:
        start = self._start
        return {"id": f"{start.run}/{what}", "at": workflow.now(), "fleet": start.fleet, "run": start.run}

    def _show(self, state: str) -> None:
        workflow.upsert_search_attributes([visible.FLEET.value_set(self._start.fleet), visible.STATE.value_set(state)])

    def _ending(self, agent: str) -> str:
        handle = self._agents.get(agent)
        if handle is None:
            return self._seed.ended.get(agent, ev.AgentStatus.FAILED).value
        end = _end(handle)
        return end if isinstance(end, str) else end.status.value

    def _mind(self, agent: str) -> AgentState | None:
        """Where an agent that has ended stands; None for one that never was."""
        handle = self._agents.get(agent)
        if handle is None:
            return self._seed.minds.get(agent)
        end = _end(handle)
        if isinstance(end, str):
            raise ApplicationError(f"nothing is known of where {agent} had stopped", type="refused")
        return end.state


def _end(handle: AgentHandle) -> AgentEnd | str:
    try:
        return handle.result()
    except ChildWorkflowError:
        return "failed"


def _outcome(endings: list[str]) -> Literal["completed", "stopped", "failed"]:
    if all(ending == "completed" for ending in endings):
        return "completed"
    return "failed" if "failed" in endings else "stopped"
