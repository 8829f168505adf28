"""What a look at this machine found: one check, its state, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``reason`` is for people; ``remedy`` a command to copy, or empty. ``failed``: Skerry cannot do its work."""

    group: str
    name: str
    state: State
    reason: str
    remedy: str = ""
