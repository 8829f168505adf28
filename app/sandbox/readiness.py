"""When a machine is ready: a list of requirements, met one after the other. Each waits for its event; none sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.errors import SandboxError


@dataclass(frozen=True, slots=True)
class Requirement:
    """``check`` blocks until it is met, at most the seconds it is given, or raises."""

    description: str
    check: Callable[[float], object]
    hint: str


def meet(requirements: Sequence[Requirement], seconds: float, told: Callable[[str], None]) -> None:
    """Raises SandboxError naming the first requirement that is not met in time, and its hint."""
    deadline = time.monotonic() + seconds
    for requirement in requirements:
        told(requirement.description)
        try:
            requirement.check(max(1.0, deadline - time.monotonic()))
        except SandboxError as error:
            message = f"not ready: {requirement.description}: {error.message}"
            raise type(error)(message, operation="start the machine", hint=requirement.hint) from error
