"""Agents of tests that ask the model behind their door, as programs do, and fail their turn when it refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2

from app.activities.member import member_key
from app.config import Paths
from app.domain.errors import RuntimeFailure
from tests.gateway.harness import request, user
from tests.team import Turn

SCENARIO = """
title: Limits
think_seconds: 0
agents:
  alice:
    troubles: {troubles}
    steps:
      - {{id: hello, say: I am alice.}}
"""

PROJECT = """
project: {{name: limits}}
agents:
  - id: alice
    type: codex
    initial_instructions: Begin.
    limits: {{{limits}}}
"""


def scenario(folder: Path, troubles: str = "[]") -> str:
    """A scenario for alice, whose every request is answered with a greeting, or with one of the troubles."""
    file = folder / "limits.yaml"
    file.write_text(SCENARIO.format(troubles=troubles))
    return str(file)


async def ask(paths: Paths, fleet: str, turn: Turn) -> None:
    """One request to the model. Raises RuntimeFailure as a program's turn fails, with the words it was told."""
    transport = httpx2.AsyncHTTPTransport(uds=str(paths.door(member_key(fleet, turn.agent))))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as client:
        reply = await client.post("/openai/v1/responses", json=request(user(turn.prompt)))
    if reply.status_code != 200:
        words = reply.json()["error"]["message"]
        raise RuntimeFailure(f"the model answered {reply.status_code}: {words}", operation="run a turn")


Ask = Callable[[Turn], Awaitable[None]]
