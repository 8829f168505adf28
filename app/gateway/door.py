"""What a door of the gateway is: one agent's entrance, and what stands behind it."""

from __future__ import annotations

import secrets
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
    id: str = ""
    """Of this request alone: a meter that hears of it twice counts it once."""
    cached_tokens: int = 0
    written_tokens: int = 0
    """Of the input: read from the provider's cache, and written into it."""
    limit: UsageLimit | None = None
    """Why the provider did not serve it, when a limit of use is the reason."""


@dataclass(frozen=True, slots=True)
class UsageLimit:
    """A provider serves no more for now. ``seconds`` until it does again, None when it did not say."""

    seconds: float | None
    detail: str


Meter = Callable[[ModelUsage], None]
"""Called on the event loop once per request to a model, also for those that failed."""

Gate = Callable[[str], str]
"""Asked with a door's key before each request to a model: empty, or why it is not let through, in words."""


def always_open(key: str) -> str:
    """The gate of a gateway without limits."""
    return ""


def usage(
    door: DoorSpec,
    *,
    provider: str,
    model: str,
    status: int,
    tokens: tuple[int, int],
    seconds: float,
    cache: tuple[int, int] = (0, 0),
    limit: UsageLimit | None = None,
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
        id=secrets.token_hex(8),
        cached_tokens=cache[0],
        written_tokens=cache[1],
        limit=limit,
    )
