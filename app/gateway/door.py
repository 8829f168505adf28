"""What a door of the gateway is: one agent's entrance, and what stands behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ModelApi = Literal["openai", "anthropic"]


@dataclass(frozen=True, slots=True)
class Provider:
    """A real model provider. ``credential`` refers to a key: ``env:NAME``, ``keyring:name`` or ``file:path``.

    ``base_url`` is what the provider's own SDK takes: with ``/v1`` for the OpenAI API, without for Anthropic's.
    """

    name: str
    api: ModelApi
    base_url: str
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The scripted model, playing the agent's part of a scenario file."""

    scenario: Path


@dataclass(frozen=True, slots=True)
class DoorSpec:
    """One agent's door. ``key`` names the agent to the ActionHandler and is unique in a gateway."""

    key: str
    fleet: str
    run: str
    agent: str
    socket: Path
    upstream: Rehearsal | Provider


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """One request to a model: HTTP ``status``, tokens as the provider counts them (else 0), seconds to the end."""

    key: str
    fleet: str
    run: str
    agent: str
    provider: str
    model: str
    status: int
    input_tokens: int
    output_tokens: int
    seconds: float


Meter = Callable[[ModelUsage], None]
"""Called on the event loop once per request to a model, also for those that failed."""


def usage(
    door: DoorSpec, *, provider: str, model: str, status: int, tokens: tuple[int, int], seconds: float
) -> ModelUsage:
    """What the meter is told of one request through ``door``."""
    return ModelUsage(
        key=door.key,
        fleet=door.fleet,
        run=door.run,
        agent=door.agent,
        provider=provider,
        model=model,
        status=status,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        seconds=round(seconds, 3),
    )
