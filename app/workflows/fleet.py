"""The team: starts one workflow an agent, passes a stop on, and ends when all of them have ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.workflows import steps
    from app.workflows.agent import AgentWorkflow
    from app.workflows.state import AgentEnd, AgentStart, AgentState

AgentHandle = workflow.ChildWorkflowHandle[AgentWorkflow, AgentEnd | str]


@workflow.defn(name="Fleet")
class FleetWorkflow:
    """One run of one project's team."""

    @workflow.init
    def __init__(self, start: steps.FleetStart) -> None:
        self._start = start
        self._agents: dict[str, AgentHandle] = {}
        self._starting: set[str] = set()
        self._stop = ""

    @workflow.run
    async def run(self, start: steps.FleetStart) -> str:
        """Returns how the run ended: completed, stopped or failed."""
        for plan in start.agents:
            self._agents[plan.id] = await self._start_agent(plan)
        if self._stop:
            await self._pass_stop_on()
        await workflow.wait_condition(self._all_ended)
        outcome = _outcome([_ending(handle) for handle in self._agents.values()])
        fact = ev.RunEnded(
            id=f"{start.run}/ended", at=workflow.now(), fleet=start.fleet, run=start.run, outcome=outcome
        )
        await workflow.execute_local_activity(
            steps.RECORD,
            steps.RecordBatch(facts=(fact,)),
            start_to_close_timeout=steps.RECORD_TIMEOUT,
            schedule_to_close_timeout=timedelta(hours=1),
        )
        return outcome

    @workflow.signal
    async def stop(self, reason: str) -> None:
        """Stop every agent; running turns are cancelled."""
        self._stop = reason or "stopped"
        await self._pass_stop_on()

    @workflow.update
    async def start_agent(self, agent: str) -> None:
        """Start an agent that has ended again: same disk, memory, inbox and conversation."""
        handle = self._agents[agent]
        self._starting.add(agent)
        try:
            await self._wait_for_its_end(agent, handle)
            self._agents[agent] = await self._start_agent(self._plan(agent), _mind(agent, handle).started_again())
        except WorkflowAlreadyStartedError:
            raise ApplicationError(f"the machine of {agent} is being removed", type="refused") from None
        finally:
            self._starting.discard(agent)
        if self._stop:
            await self._pass_stop_on()

    @start_agent.validator
    def _may_start(self, agent: str) -> None:
        if agent not in self._agents:
            raise ApplicationError(f"{agent} is not in this run", type="not_found")
        if self._stop or self._all_ended():
            raise ApplicationError("the team is ending", type="refused")
        if agent in self._starting:
            raise ApplicationError(f"{agent} is being started", type="refused")

    def _all_ended(self) -> bool:
        return not self._starting and all(handle.done() for handle in self._agents.values())

    def _plan(self, agent: str) -> steps.AgentPlan:
        return next(plan for plan in self._start.agents if plan.id == agent)

    async def _wait_for_its_end(self, agent: str, handle: AgentHandle) -> None:
        """Its last fact is recorded a moment before it is over."""
        try:
            await workflow.wait_condition(handle.done, timeout=steps.END_TIMEOUT)
        except TimeoutError:
            raise ApplicationError(f"{agent} is at work", type="refused") from None

    async def _start_agent(self, plan: steps.AgentPlan, state: AgentState | None = None) -> AgentHandle:
        start = self._start
        agent = AgentStart(
            fleet=start.fleet,
            run=start.run,
            project_file=start.project_file,
            rehearsal=start.rehearsal,
            plan=plan,
            team=frozenset(item.id for item in start.agents),
            state=state,
        )
        return await workflow.start_child_workflow(
            AgentWorkflow.run,
            agent,
            id=steps.agent_workflow_id(start.fleet, plan.id),
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"agent {plan.id} of {start.project}",
        )

    async def _pass_stop_on(self) -> None:
        for handle in list(self._agents.values()):
            if not handle.done():
                try:
                    await handle.signal(AgentWorkflow.stop, self._stop)
                except ApplicationError:
                    workflow.logger.info("%s had ended before the stop reached it", handle.id)


def _ending(handle: AgentHandle) -> str:
    try:
        end = handle.result()
    except ChildWorkflowError:
        return "failed"
    return end if isinstance(end, str) else end.status.value


def _mind(agent: str, handle: AgentHandle) -> AgentState:
    try:
        end = handle.result()
    except ChildWorkflowError:
        end = ""
    if isinstance(end, str):
        raise ApplicationError(f"nothing is known of where {agent} had stopped", type="refused")
    return end.state


def _outcome(endings: list[str]) -> Literal["completed", "stopped", "failed"]:
    if all(ending == "completed" for ending in endings):
        return "completed"
    return "failed" if "failed" in endings else "stopped"
