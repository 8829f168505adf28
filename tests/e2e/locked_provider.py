"""A model provider that asks for a key: plays a rehearsal for whoever has it, and counts who has not.

Run as ``python -m tests.e2e.locked_provider SCENARIO KEYFILE``: the key that counts is what the file says at that
moment. It writes its port, and ends with its standard input. Each agent has an address of its own:
``http://127.0.0.1:PORT/AGENT/openai/v1`` and ``…/AGENT/anthropic``. ``GET /refused`` says how many came without the
key.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.gateway.door import DoorSpec, ModelApi, Rehearsal
from app.gateway.rehearsal_model import RehearsalModel


class LockedProvider:
    """Both APIs, one key."""

    def __init__(self, scenario: Path, key: Path) -> None:
        self._rehearsal, self._key = Rehearsal(scenario), key
        self.refused = 0

    async def openai(self, request: Request) -> Response:
        return await self._answer(request, "openai", request.headers.get("authorization", "").removeprefix("Bearer "))

    async def anthropic(self, request: Request) -> Response:
        return await self._answer(request, "anthropic", request.headers.get("x-api-key", ""))

    async def _answer(self, request: Request, api: ModelApi, key: str) -> Response:
        if key != self._key.read_text():
            self.refused += 1
            return JSONResponse({"error": {"message": f"Incorrect API key provided: {key}"}}, 401)
        agent = request.path_params["agent"]
        door = DoorSpec(agent, "locked", "r1", agent, Path("/nowhere"), self._rehearsal)
        model = RehearsalModel(door, self._rehearsal, lambda usage: None)
        return await model.answer(request.path_params["path"], request, api)

    async def told(self, request: Request) -> Response:
        return PlainTextResponse(str(self.refused))


async def serve(scenario: Path, key: Path) -> None:
    """Until the standard input ends."""
    provider = LockedProvider(scenario, key)
    routes = [
        Route("/refused", provider.told),
        Route("/{agent}/openai/v1/{path:path}", provider.openai, methods=["GET", "POST"]),
        Route("/{agent}/anthropic/v1/{path:path}", provider.anthropic, methods=["GET", "POST"]),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
