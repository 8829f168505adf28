"""The scripted model as an upstream of a door: requests in, moves out, metered like a real provider."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.gateway.door import DoorSpec, Gate, Meter, ModelApi, Rehearsal, UsageLimit, always_open, usage
from app.gateway.messages_request import read_messages
from app.gateway.messages_stream import message, message_characters, message_events
from app.gateway.misbehaviour import Misbehaviour
from app.gateway.rehearsal import Move, Player
from app.gateway.replies import not_let_through, problem, read_body
from app.gateway.responses_request import ModelRequest, read_request
from app.gateway.responses_stream import Json, events, output_characters, response
from app.gateway.scenario import Trouble, load_scenario, script_for

PROVIDER = "rehearsal"
MODEL = "rehearsal"
_CHARACTERS_PER_TOKEN = 4
_PATHS: Mapping[ModelApi, str] = {"openai": "responses", "anthropic": "messages"}
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
        if request.method != "POST" or path != _PATHS[api]:
            words = f"the rehearsal does not serve {request.method} {path[:100]}: it speaks POST {_PATHS[api]}"
            return problem(404, words, api=api)
        begun = time.monotonic()
        raw = await read_body(request)
        body = _object(raw)
        if body is None:
            return problem(400, "the request is not a JSON object", api=api, code="invalid_json")
        asked = read_messages(body) if api == "anthropic" else read_request(body)
        return await self._respond(asked, raw, begun, api)

    async def _respond(self, asked: ModelRequest, raw: bytes, begun: float, api: ModelApi) -> Response:
        move = self._move(asked)
        trouble = self._misbehaviour.next(self._door, self._troubles, move.step) if move.step else None
        if trouble is not None:
            return self._misbehave(asked, trouble, begun, api)
        await asyncio.sleep(move.think_seconds)
        whole = self._whole(asked, move, len(raw), api)
        counts = whole["usage"]
        self._meter(
            usage(
                self._door,
                provider=PROVIDER,
                model=asked.model or MODEL,
                status=200,
                tokens=(counts["input_tokens"], counts["output_tokens"]),
                seconds=time.monotonic() - begun,
            )
        )
        if not asked.stream:
            return JSONResponse(whole)
        told = message_events(whole) if api == "anthropic" else events(whole)
        return Response(b"".join(told), media_type="text/event-stream", headers={"cache-control": "no-cache"})

    def answers(self) -> bool:
        """Whether it would serve a request, as far as its troubles go."""
        return self._misbehaviour.is_over(self._door, self._troubles)

    def _misbehave(self, asked: ModelRequest, trouble: Trouble, begun: float, api: ModelApi) -> Response:
        limit = UsageLimit(trouble.resets_in, "as the scenario says") if trouble.status == 429 else None
        model, seconds = asked.model or MODEL, time.monotonic() - begun
        told = usage(
            self._door,
            provider=PROVIDER,
            model=model,
            status=trouble.status,
            tokens=(0, 0),
            seconds=seconds,
            limit=limit,
        )
        self._meter(told)
        if closed := self._gate(self._door.key):
            return not_let_through(closed, api)
        return problem(trouble.status, "the rehearsed model does not answer, as its scenario says", api=api)

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

    def _whole(self, asked: ModelRequest, move: Move, size: int, api: ModelApi) -> Json:
        seed = f"{self._door.key} {self._door.run} {len(asked.conversation.items)} {asked.purpose}"
        moment = int(time.time())

        def made(tokens: tuple[int, int]) -> Json:
            toolbox = asked.conversation.toolbox
            if api == "anthropic":
                return message(move, toolbox, model=asked.model or MODEL, seed=seed, tokens=tokens)
            return response(move, toolbox, model=asked.model or MODEL, created_at=moment, seed=seed, tokens=tokens)

        length = (message_characters if api == "anthropic" else output_characters)(made((0, 0)))
        return made((size // _CHARACTERS_PER_TOKEN, length // _CHARACTERS_PER_TOKEN))


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
