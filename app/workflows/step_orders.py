"""Steps of an agent whose turns are taken step by step: one model call, one action, each by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from app.workflows.holds import Hold
from app.workflows.references import Frozen
from app.workflows.steps import TurnOrder

MODEL_STEP = "model_step"
ACTION_STEP = "action_step"
CONDENSE_STEP = "condense_step"
END_STEPS = "end_steps"

MODEL_TIMEOUT = timedelta(hours=2)
"""Of one model call with its tries; a local model may take its time."""
ACTION_TIMEOUT = timedelta(hours=24)
"""Of one action; a person may have to be asked first."""
END_TIMEOUT = timedelta(minutes=1)


class StepOrder(Frozen):
    """Go on with a turn after its first ``step`` replies of the model."""

    turn: TurnOrder
    step: int = 0


class CallRef(Frozen):
    """A call that the model made; what it gave with it is in the transcript."""

    id: str
    name: str


class ModelStep(Frozen):
    """What the model did: it made calls, or ended its turn; or what is in the way: a limit, a too long conversation."""

    step: int
    session: str = ""
    calls: tuple[CallRef, ...] = ()
    state: Literal["calls", "go_on", "too_long", "over", "held"] = "calls"
    stop_reason: str = ""
    hold: Hold | None = None


class ActionOrder(Frozen):
    """Carry out a call of the reply number ``step``."""

    turn: TurnOrder
    step: int
    session: str
    call: CallRef


class ActionDone(Frozen):
    """What came of it is in the transcript; ``hold`` when nothing could, as the machine is lost."""

    ok: bool = True
    hold: Hold | None = None


class EndOrder(Frozen):
    """Put on record that a turn was cut."""

    turn: TurnOrder
    stop_reason: str
