"""Steps about what an agent may use up and what it needs: whether it may go on, and what the user decided."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from app.workflows.references import AgentOrder, Frozen, InterruptRef

MAY_BEGIN = "may_begin"
PROBE_MODEL = "probe_model"
TAKE_DECISION = "take_decision"
PROBE_TIMEOUT = timedelta(minutes=1)

HoldCause = Literal["budget", "usage_limit", "provider_down", "sandbox_lost"]


class Hold(Frozen):
    """Why an agent may not go on now, and what ends that."""

    cause: HoldCause
    words: str
    """The reason that is shown."""
    interrupt: InterruptRef
    """What the user is asked: at once for a budget and a lost machine, after ``ask_seconds`` or too many tries else."""
    until: datetime | None = None
    """When the provider's limit of use is over."""
    ask_seconds: float = 0.0
    max_resumes: int = 0


class BeginOrder(Frozen):
    """Ask whether the agent may have this turn. ``again``: it is one that was cut, or lost, and goes on."""

    order: AgentOrder
    turn: int
    again: bool = False


class Permit(Frozen):
    """The answer: nothing, or what keeps the agent from it."""

    hold: Hold | None = None


class DecisionOrder(Frozen):
    """The user has answered what the host asked about an agent; ``body`` is where the store keeps that.

    Put on record what it allows: more of a budget, a turn beyond it, another try.
    """

    order: AgentOrder
    at: datetime
    body: str
    turn: int
