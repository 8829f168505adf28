"""The Temporal worker: which workflows and activities this engine carries out."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from app.activities.agent_steps import AgentSteps
from app.workflows.agent import AgentWorkflow
from app.workflows.fleet import FleetWorkflow
from app.workflows.removal import RemovalWorkflow
from app.workflows.steps import TASK_QUEUE

WORKFLOWS = (FleetWorkflow, AgentWorkflow, RemovalWorkflow)

# Types that cross between workflows and us must be the same class on both sides.
_SHARED = (
    "app.domain",
    "app.workflows.references",
    "app.workflows.holds",
    "app.workflows.steps",
    "app.workflows.state",
    "app.workflows.step_orders",
    "pydantic",
)


def workflow_runner() -> SandboxedWorkflowRunner:
    """The runner of workers and of replays."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*_SHARED))


def make_worker(client: Client, agent_steps: AgentSteps) -> Worker:
    """A worker for one engine; the intervals are those FACTS.md B2.4 measured for quick recovery."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=list(WORKFLOWS),
        activities=list(agent_steps.all()),
        workflow_runner=workflow_runner(),
        max_concurrent_activities=200,
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(seconds=2),
    )
