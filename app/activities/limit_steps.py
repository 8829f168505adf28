"""Steps about limits: whether a turn may begin, whether the model is there, what the user decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from app.activities.crew import Crew
from app.activities.warden import Warden
from app.domain.errors import SkerryError
from app.workflows import holds
from app.workflows.references import AgentOrder


class LimitSteps:
    """What ``workflows.holds`` names, done."""

    def __init__(self, crew: Crew, warden: Warden) -> None:
        self._crew = crew
        self._warden = warden

    def all(self) -> Sequence[Callable[..., Any]]:
        """The activities, for a worker."""
        return (self.may_begin, self.probe_model, self.take_decision)

    @activity.defn(name=holds.MAY_BEGIN)
    async def may_begin(self, order: holds.BeginOrder) -> holds.Permit:
        """Whether the agent may have its next turn; when agents.yaml cannot be read, the turn says so itself."""
        try:
            limits = self._crew.limits(order.order)
        except SkerryError:
            return holds.Permit()
        return holds.Permit(hold=self._warden.may_begin(order, limits))

    @activity.defn(name=holds.PROBE_MODEL)
    async def probe_model(self, order: AgentOrder) -> bool:
        """Whether the agent's model provider is there again; when it is, its door is opened for it."""
        if not await self._crew.model_answers(order):
            return False
        self._warden.answers_again(order)
        return True

    @activity.defn(name=holds.TAKE_DECISION)
    async def take_decision(self, decision: holds.DecisionOrder) -> None:
        """Put on record what the user's answer allows."""
        self._warden.decided(decision)
