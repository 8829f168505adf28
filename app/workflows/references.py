"""What workflows and steps carry of things that are whole elsewhere."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from app.domain.envelope import MessageRef
from app.domain.interrupt import InterruptKind


class Frozen(BaseModel):
    """Base of everything that crosses between a workflow and the world."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AgentOrder(Frozen):
    """Which agent a step is about."""

    fleet: str
    run: str
    agent: str
    project_file: str
    rehearsal: str = ""


class InterruptRef(Frozen):
    """What workflows carry of an interrupt."""

    id: str
    kind: InterruptKind
    title: str
    blocking: bool = True
    message: MessageRef | None = None
    about: str = ""
    """What the host asks about; empty when the agent asked."""
    expires_at: datetime | None = None
    permission: bool = False
    """Whether the agent's program waits for the answer in the middle of its turn."""

    @property
    def of_hold(self) -> bool:
        """Whether it is about what keeps the agent from its turns altogether."""
        return self.about.partition(":")[0] in ("budget", "usage_limit", "provider_down", "sandbox_lost")
