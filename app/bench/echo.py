"""The floor of everything that is asked of a workflow: an update that gives its argument back."""

from __future__ import annotations

from temporalio import workflow


@workflow.defn(name="BenchEcho")
class EchoWorkflow:
    """Does nothing else."""

    def __init__(self) -> None:
        self._over = False

    @workflow.run
    async def run(self) -> None:
        """Until it is told to end."""
        await workflow.wait_condition(lambda: self._over)

    @workflow.update
    def echo(self, text: str) -> str:
        """The text."""
        return text

    @workflow.signal
    def end(self) -> None:
        """End."""
        self._over = True
