"""The gateway: one application, and a door to it for each agent. The door is the identity; requests carry none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.ports import ActionHandler, ActionResult
from app.gateway.door import DoorSpec, Gate, Meter, ModelApi, ModelUsage, Provider, Rehearsal, always_open
from app.gateway.listener import Listener
from app.gateway.misbehaviour import Misbehaviour
from app.gateway.model_proxy import ModelProxy
from app.gateway.rehearsal_model import RehearsalModel
from app.gateway.replies import MAX_BODY_BYTES, TooLarge, not_let_through, problem, too_large
from app.gateway.tool_body import RefusalHeard, StrictBody
from app.gateway.tool_server import DOOR_KEY, ToolServer

_DOOR = "skerry.door.open"
_SERVED = "/openai/v1/…, /anthropic/v1/… and /mcp are served here"
_log = logging.getLogger(__name__)


def _unheard(key: str, reason: str) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class _Door:
    """An open door. ``spec`` and ``model`` may be replaced while it serves; a request keeps those it came in with."""

    spec: DoorSpec
    model: RehearsalModel | None
    listener: Listener


class Gateway:
    """Opens and closes doors, and serves them all on the running loop."""

    def __init__(
        self, handler: ActionHandler, meter: Meter, refused: RefusalHeard = _unheard, gate: Gate = always_open
    ) -> None:
        """``handler`` performs tool calls, ``meter`` hears of every model request, ``refused`` of what was no call.

        ``gate`` is asked before a request goes to a model, and after one that failed.
        """
        self._refused = refused
        self._doors: dict[str, _Door] = {}
        self._lock = asyncio.Lock()
        self._meter = _careful(meter)
        self._gate = gate
        self._proxy = ModelProxy(self._meter, gate)
        self._misbehaviour = Misbehaviour()
        self._tools = ToolServer(handler)
        self._app = self._application()

    @property
    def doors(self) -> tuple[DoorSpec, ...]:
        """The doors that are open."""
        return tuple(door.spec for door in self._doors.values())

    async def open_door(self, spec: DoorSpec) -> None:
        """Open a door, or change the open one of that key; what others do is not disturbed.

        Raises ConfigError for a rehearsal that cannot be used, GatewayError when the socket cannot be made.
        """
        async with self._lock:
            model = self._rehearsed(spec, spec.upstream) if isinstance(spec.upstream, Rehearsal) else None
            await self._tools.start()
            door = self._doors.get(spec.key)
            if door is not None and door.spec.socket == spec.socket and door.listener.alive:
                door.spec, door.model = spec, model
                return
            if door is not None:
                await self._close(spec.key)
            self._doors[spec.key] = _Door(spec, model, await Listener.open(spec.socket, self._entrance(spec.key)))

    def _rehearsed(self, spec: DoorSpec, rehearsal: Rehearsal) -> RehearsalModel:
        return RehearsalModel(spec, rehearsal, self._meter, self._gate, self._misbehaviour)

    async def model_answers(self, key: str) -> bool:
        """Whether the model behind an open door is there to be asked."""
        door = self._doors.get(key)
        if door is None:
            return False
        if isinstance(door.spec.upstream, Provider):
            return await self._proxy.answers(door.spec.upstream)
        return door.model is not None and door.model.answers()

    async def use_tool(self, key: str, name: str, arguments: Mapping[str, object], call: str) -> ActionResult:
        """A tool call of the agent behind the door ``key``, made on this side of it."""
        return await self._tools.perform(key, name, arguments, call)

    async def close_door(self, key: str) -> None:
        """Close a door and remove its socket. No error when there is none."""
        async with self._lock:
            await self._close(key)

    async def stop(self) -> None:
        """Close all doors (running requests have two seconds to end), then what stands behind them. Safe to repeat."""
        async with self._lock:
            await asyncio.gather(*(self._close(key) for key in list(self._doors)))
            await self._tools.stop()
            await self._proxy.close()

    async def _close(self, key: str) -> None:
        door = self._doors.pop(key, None)
        if door is not None:
            await door.listener.close()

    def _entrance(self, key: str) -> ASGIApp:
        async def enter(scope: Scope, receive: Receive, send: Send) -> None:
            door = self._doors.get(key)
            if door is None:
                await problem(503, "this door is being closed")(scope, receive, send)
                return
            await self._app({**scope, DOOR_KEY: key, _DOOR: replace(door)}, receive, send)

        return enter

    def _application(self) -> Starlette:
        methods = ["GET", "POST"]
        application = Starlette(
            routes=[
                Route("/mcp", StrictBody(self._tools, DOOR_KEY, self._refused)),
                Route("/openai/v1/{path:path}", self._openai, methods=methods),
                Route("/anthropic/v1/{path:path}", self._anthropic, methods=methods),
            ],
            exception_handlers={
                HTTPException: _http_problem,
                TooLarge: _too_large,
                ClientDisconnect: _gone,
                Exception: _broken,
            },
        )
        application.router.redirect_slashes = False
        return application

    async def _openai(self, request: Request) -> Response:
        return await self._model(request, "openai")

    async def _anthropic(self, request: Request) -> Response:
        return await self._model(request, "anthropic")

    async def _model(self, request: Request, api: ModelApi) -> Response:
        door: _Door = request.scope[_DOOR]
        path: str = request.path_params["path"]
        upstream = door.spec.upstream
        if request.method == "POST" and (closed := self._gate(door.spec.key)):
            return not_let_through(closed, api)
        if isinstance(upstream, Provider) and upstream.api == api:
            return await self._proxy.forward(door.spec, upstream, path, request)
        if door.model is not None:
            return await door.model.answer(path, request, api)
        speaks = upstream.api if isinstance(upstream, Provider) else "openai"
        return problem(404, f"this agent's model speaks the {speaks} API, not {api}'s", api=api, code="wrong_api")


def _careful(meter: Meter) -> Meter:
    def metered(usage: ModelUsage) -> None:
        try:
            meter(usage)
        except Exception:
            _log.exception("the meter failed for %s", usage.key)

    return metered


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:100]}: {error.detail}; {_SERVED}"
    return problem(error.status_code, message, headers=error.headers)


async def _too_large(request: Request, error: Exception) -> Response:
    return too_large(MAX_BODY_BYTES)


async def _gone(request: Request, error: Exception) -> Response:
    return problem(400, "the request was not complete")  # nobody is there to read it


async def _broken(request: Request, error: Exception) -> Response:
    return problem(500, "the gateway failed; the user can find the reason in the engine's log")
