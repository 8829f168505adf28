"""The scripted model as an upstream of a door: requests in, moves out, metered like a real provider."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.gateway.door import DoorSpec, Gate, Meter, Rehearsal, UsageLimit, always_open, usage
from app.gateway.misbehaviour import Misbehaviour
from app.gateway.rehearsal import Move, Player
from app.gateway.replies import not_let_through, problem, read_body
from app.gateway.responses_request import ModelRequest, read_request
from app.gateway.responses_stream import Json, events, output_characters, response
from app.gateway.scenario import Trouble, load_scenario, script_for

PROVIDER = "rehearsal"
MODEL = "rehearsal"
_CHARACTERS_PER_TOKEN = 4


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

    async def answer(self, path: str, request: Request) -> Response:
        """The answer to ``request`` for ``path`` (what follows ``/openai/v1/``)."""
        if request.method == "GET" and path == "models":
            listed = {"id": MODEL, "object": "model", "created": 0, "owned_by": "skerry"}
            return JSONResponse({"object": "list", "data": [listed]})
        if request.method != "POST" or path != "responses":
            return problem(404, f"the rehearsal does not serve {request.method} {path[:100]}: it speaks POST responses")
        begun = time.monotonic()
        raw = await read_body(request)
        body = _object(raw)
        if body is None:
            return problem(400, "the request is not a JSON object", code="invalid_json")
        return await self._respond(read_request(body), raw, begun)

    async def _respond(self, asked: ModelRequest, raw: bytes, begun: float) -> Response:
        move = self._move(asked)
        trouble = self._misbehaviour.next(self._door, self._troubles, move.step) if move.step else None
        if trouble is not None:
            return self._misbehave(asked, trouble, begun)
        await asyncio.sleep(move.think_seconds)
        whole = self._whole(asked, move, len(raw))
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
        return Response(b"".join(events(whole)), media_type="text/event-stream", headers={"cache-control": "no-cache"})

    def answers(self) -> bool:
        """Whether it would serve a request, as far as its troubles go."""
        return self._misbehaviour.is_over(self._door, self._troubles)

    def _misbehave(self, asked: ModelRequest, trouble: Trouble, begun: float) -> Response:
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
            return not_let_through(closed)
        return problem(trouble.status, "the rehearsed model does not answer, as its scenario says")

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

    def _whole(self, asked: ModelRequest, move: Move, size: int) -> Json:
        seed = f"{self._door.key} {self._door.run} {len(asked.conversation.items)} {asked.purpose}"
        moment = int(time.time())

        def made(tokens: tuple[int, int]) -> Json:
            toolbox = asked.conversation.toolbox
            return response(move, toolbox, model=asked.model or MODEL, created_at=moment, seed=seed, tokens=tokens)

        length = output_characters(made((0, 0)))
        return made((size // _CHARACTERS_PER_TOKEN, length // _CHARACTERS_PER_TOKEN))


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
