"""The activities about a machine's life that no turn needs: pause, suspend, resume, reset, remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from app.activities.crew import Crew
from app.activities.failures import told_to_temporal
from app.activities.heartbeat import beating
from app.activities.member import Member
from app.workflows import steps


class MachineSteps:
    """What ``workflows.steps`` names of machines, done. Each may be repeated."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def all(self) -> Sequence[Callable[..., Any]]:
        """The activities, for a worker."""
        return (self.pause, self.settle, self.suspend, self.thaw, self.resume, self.reset, self.remove)

    @activity.defn(name=steps.PAUSE_MACHINE)
    async def pause(self, order: steps.AgentOrder) -> None:
        """Stop its processors."""
        async with told_to_temporal(), beating():
            await self._crew.pause(order)

    @activity.defn(name=steps.AWAIT_COMMAND)
    async def settle(self, order: steps.AgentOrder) -> None:
        """Return when no command of the turn under way runs."""
        async with told_to_temporal(), beating():
            await self._crew.command_ended(order)

    @activity.defn(name=steps.SUSPEND_MACHINE)
    async def suspend(self, order: steps.AgentOrder) -> None:
        """Save it to disk."""
        async with told_to_temporal(), beating():
            await self._crew.suspend(order)

    @activity.defn(name=steps.THAW_MACHINE)
    async def thaw(self, order: steps.AgentOrder) -> None:
        """Let its processors go on, if they stand still."""
        async with told_to_temporal(), beating():
            await self._crew.thaw(order)

    @activity.defn(name=steps.RESUME_MACHINE)
    async def resume(self, order: steps.AgentOrder) -> None:
        """Let it go on, from memory or from the disk."""
        async with told_to_temporal(), beating():
            await self._crew.resume(order)

    @activity.defn(name=steps.RESET_MACHINE)
    async def reset(self, order: steps.AgentOrder) -> steps.Prepared:
        """Make it anew."""
        async with told_to_temporal(), beating():
            return prepared(await self._crew.reset(order))

    @activity.defn(name=steps.REMOVE_MACHINE)
    async def remove(self, order: steps.AgentOrder) -> None:
        """Take it away."""
        async with told_to_temporal(), beating():
            await self._crew.remove(order)


def prepared(member: Member) -> steps.Prepared:
    """What the workflow is told of a machine that is up."""
    return steps.Prepared(note=member.sandbox.note if member.sandbox else "", clean=member.clean)
