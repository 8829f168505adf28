"""The team: starts one workflow an agent, passes a stop on, and ends when all of them have ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.workflows import steps
    from app.workflows.agent import AgentWorkflow
    from app.workflows.state import AgentStart


@workflow.defn(name="Fleet")
class FleetWorkflow:
    """One run of one project's team."""

    def __init__(self) -> None:
        self._agents: dict[str, workflow.ChildWorkflowHandle[AgentWorkflow, str]] = {}
        self._stop = ""

    @workflow.run
    async def run(self, start: steps.FleetStart) -> str:
        """Returns how the run ended: completed, stopped or failed."""
        for plan in start.agents:
            self._agents[plan.id] = await self._start_agent(start, plan)
        if self._stop:
            await self._pass_stop_on()
        endings = await asyncio.gather(*(_ending(handle) for handle in self._agents.values()))
        outcome = _outcome(endings)
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

    async def _start_agent(
        self, start: steps.FleetStart, plan: steps.AgentPlan
    ) -> workflow.ChildWorkflowHandle[AgentWorkflow, str]:
        agent = AgentStart(
            fleet=start.fleet,
            run=start.run,
            project_file=start.project_file,
            rehearsal=start.rehearsal,
            plan=plan,
            team=frozenset(item.id for item in start.agents),
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


async def _ending(handle: workflow.ChildWorkflowHandle[AgentWorkflow, str]) -> str:
    try:
        return await handle
    except ChildWorkflowError:
        return "failed"


def _outcome(endings: list[str]) -> Literal["completed", "stopped", "failed"]:
    if all(ending == "completed" for ending in endings):
        return "completed"
    return "failed" if "failed" in endings else "stopped"
