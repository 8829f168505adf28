"""The scripted model as an upstream of a door: requests in, moves out, metered like a real provider."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.gateway.bad_answers import broken_off, failure, worsened
from app.gateway.dialects import DIALECTS, Dialect, Json, Making, spoken
from app.gateway.door import DoorSpec, Gate, Meter, ModelApi, Rehearsal, UsageLimit, always_open, usage
from app.gateway.misbehaviour import Misbehaviour
from app.gateway.rehearsal import Move, Player
from app.gateway.replies import not_let_through, problem, read_body
from app.gateway.responses_request import ModelRequest
from app.gateway.scenario import Trouble, load_scenario, script_for

PROVIDER = "rehearsal"
MODEL = "rehearsal"
_CHARACTERS_PER_TOKEN = 4
_LISTED: Mapping[ModelApi, Json] = {
    "openai": {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "skerry"}]},
    "anthropic": {
        "data": [{"type": "model", "id": MODEL, "display_name": "Rehearsal", "created_at": "2026-01-01T00:00:00Z"}],
        "has_more": False,
        "first_id": MODEL,
        "last_id": MODEL,
    },
}


class RehearsalModel:
    """Plays the part of one door's agent. It keeps nothing between requests."""

    def __init__(
        self,
        door: DoorSpec,
        rehearsal: Rehearsal,
        meter: Meter,
        gate: Gate = always_open,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        """Load the scenario. Raises ConfigError when it cannot be used, or has no part for the agent."""
        scenario = load_scenario(rehearsal.scenario)
        script = script_for(scenario, door.agent, rehearsal.scenario)
        self._title = scenario.title
        self._player = Player(scenario, script, {"agent": door.agent, "fleet": door.fleet, "run": door.run})
        self._door = door
        self._meter = meter
        self._gate = gate
        self._troubles = script.troubles
        self._misbehaviour = misbehaviour or Misbehaviour()

    async def answer(self, path: str, request: Request, api: ModelApi = "openai") -> Response:
        """The answer to ``request`` for ``path`` (what follows ``/openai/v1/`` or ``/anthropic/v1/``)."""
        if request.method == "GET" and path == "models":
            return JSONResponse(_LISTED[api])
        if request.method == "POST" and (api, path) == ("anthropic", "messages/count_tokens"):
            return JSONResponse({"input_tokens": len(await read_body(request)) // _CHARACTERS_PER_TOKEN})
        dialect = DIALECTS.get((api, path)) if request.method == "POST" else None
        if dialect is None:
            words = f"the rehearsal does not serve {request.method} {path[:100]}: it speaks {spoken(api)}"
            return problem(404, words, api=api)
        begun = time.monotonic()
        raw = await read_body(request)
        body = _object(raw)
        if body is None:
            return problem(400, "the request is not a JSON object", api=api, code="invalid_json")
        return await self._respond(_Request(dialect, dialect.read(body), body, len(raw), begun, api))

    async def _respond(self, request: _Request) -> Response:
        move = self._move(request.asked)
        trouble = self._misbehaviour.next(self._door, self._troubles, move.step) if move.step else None
        if trouble is not None and trouble.does in ("error", "overflow"):
            return self._fail(request, trouble)
        await asyncio.sleep(move.think_seconds)
        move = move if trouble is None else worsened(move, trouble)
        half = trouble is not None and trouble.does == "half"
        whole, (given, made, cached) = self._whole(request, move)
        self._meter(
            usage(
                self._door,
                provider=PROVIDER,
                model=request.asked.model or MODEL,
                status=502 if half else 200,
                tokens=(0, 0) if half else (given, made),
                seconds=time.monotonic() - request.begun,
                cache=(0 if half else cached, 0),
            )
        )
        if not request.asked.stream:
            return JSONResponse(whole)
        told = list(request.dialect.events(whole, request.body))
        content = broken_off(told) if half else b"".join(told)
        return Response(content, media_type="text/event-stream", headers={"cache-control": "no-cache"})

    def answers(self) -> bool:
        """Whether it would serve a request, as far as its troubles go."""
        return self._misbehaviour.is_over(self._door, self._troubles)

    def _fail(self, request: _Request, trouble: Trouble) -> Response:
        used_up = trouble.does == "error" and trouble.status == 429 and trouble.retry_after is None
        told = usage(
            self._door,
            provider=PROVIDER,
            model=request.asked.model or MODEL,
            status=400 if trouble.does == "overflow" else trouble.status,
            tokens=(0, 0),
            seconds=time.monotonic() - request.begun,
            limit=UsageLimit(trouble.resets_in, "as the scenario says") if used_up else None,
        )
        self._meter(told)
        if closed := self._gate(self._door.key):
            return not_let_through(closed, request.api)
        return failure(trouble, request.api)

    def _move(self, asked: ModelRequest) -> Move:
        match asked.purpose:
            case "turn":
                return self._player.next_move(asked.conversation)
            case "title":
                return Move(json.dumps({"title": self._title[:60]}))
            case "compaction":
                return Move(self._player.summary(asked.conversation))
            case _:
                return Move("This is a rehearsal: there is nothing to say to that.")

    def _whole(self, request: _Request, move: Move) -> tuple[Json, tuple[int, int, int]]:
        """The answer and its tokens: those that the step tells, else a count of characters."""
        asked, dialect = request.asked, request.dialect
        seed = f"{self._door.key} {self._door.run} {len(asked.conversation.items)} {asked.purpose}"
        making = Making(asked.model or MODEL, int(time.time()), seed)
        if move.usage is not None:
            tokens = (move.usage.input, move.usage.output, move.usage.cached)
        else:
            made = dialect.characters(dialect.whole(move, asked.conversation.toolbox, making))
            tokens = (request.size // _CHARACTERS_PER_TOKEN, made // _CHARACTERS_PER_TOKEN, 0)
        return dialect.whole(move, asked.conversation.toolbox, replace(making, tokens=tokens)), tokens


@dataclass(frozen=True, slots=True)
class _Request:
    """One request: how it is spoken, what was asked, in how many bytes, and when (monotonic seconds)."""

    dialect: Dialect
    asked: ModelRequest
    body: dict[str, Any]
    size: int
    begun: float
    api: ModelApi


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
