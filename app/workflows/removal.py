"""Takes an ended agent's machine away, with everything that belongs to it."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.workflows import steps


@workflow.defn(name="Removal")
class RemovalWorkflow:
    """Runs under the id of the agent's own workflow: Temporal lets neither begin while the other is there."""

    @workflow.run
    async def run(self, order: steps.AgentOrder) -> None:
        """Returns when the machine is gone."""
        await workflow.execute_activity(
            steps.REMOVE_MACHINE,
            order,
            start_to_close_timeout=steps.RELEASE_TIMEOUT,
            heartbeat_timeout=steps.HEARTBEAT_TIMEOUT,
            retry_policy=steps.STEP_RETRY,
        )
