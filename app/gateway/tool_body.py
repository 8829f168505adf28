"""What is posted to the tools, read strictly before anything acts on it: one meaning, or a refusal with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.text import printable
from app.gateway.replies import MAX_TOOL_BODY_BYTES, TooLarge, read_body, too_large

MAX_DEPTH = 64
"""How deep lists and objects may be nested; no tool needs more than five."""
PARSE_ERROR = -32700
"""Of JSON-RPC 2.0, section 5.1: not the JSON that it has to be."""

RefusalHeard = Callable[[str, str], None]
"""Told the door's key and the reason of a request that was refused before it was a tool call."""


class StrictBody:
    """Reads the whole body before the application sees the request. ``scope_key`` names the door in the scope."""

    def __init__(self, app: ASGIApp, scope_key: str, heard: RefusalHeard) -> None:
        self._app = app
        self._scope_key = scope_key
        self._heard = heard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        try:
            body = await read_body(Request(scope, receive), MAX_TOOL_BODY_BYTES)
        except TooLarge:
            self._heard(str(scope[self._scope_key]), f"the request has more than {MAX_TOOL_BODY_BYTES} bytes")
            await too_large(MAX_TOOL_BODY_BYTES)(scope, receive, send)
            return
        if scope["method"] == "POST" and (reason := trouble(body)):
            self._heard(str(scope[self._scope_key]), reason)
            error = {"code": PARSE_ERROR, "message": printable(f"refused: {reason}")}
            await JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status_code=400)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


def trouble(body: bytes) -> str:
    """Why ``body`` is not JSON with one meaning; empty when it is."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        return f"the request is not UTF-8 (byte {error.start})"
    except RecursionError:
        return f"the request is nested deeper than {MAX_DEPTH}"
    except json.JSONDecodeError as error:
        return f"the request is not JSON: {error.msg} at character {error.pos}"
    except ValueError as error:  # a key twice, NaN, a number of thousands of digits
        return str(error)
    return f"the request is nested deeper than {MAX_DEPTH}" if _is_deep(found) else ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:60]!r} comes twice in one object")
        found[name] = value
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more for the application, then what comes after it."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
