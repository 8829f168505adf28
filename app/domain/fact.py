"""What all facts share."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Fact(BaseModel):
    """What all facts share. ``agent`` is empty when the fact is about the fleet or the engine."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    at: datetime
    fleet: str = ""
    run: str = ""
    agent: str = ""
