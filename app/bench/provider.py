"""A model provider for the benchmark of the gateway: streams events as fast as they are taken, from its own process.

Run as ``python -m app.bench.provider``; it writes its port and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Mapping

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

EVENT_BYTES = 1024
"""About what a real provider sends at a time, with all it repeats in each event."""


async def answer(request: Request) -> StreamingResponse:
    """As many text deltas as the request's ``max_output_tokens``, then the end with its count of tokens."""
    count = int((await request.json())["max_output_tokens"])
    return StreamingResponse(_events(count), media_type="text/event-stream")


async def _events(count: int) -> AsyncIterator[bytes]:
    delta = {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "x" * (EVENT_BYTES - 110)}
    event = _event(delta)
    for _ in range(count):
        yield event
    usage = {"input_tokens": 10, "output_tokens": count, "total_tokens": count + 10}
    yield _event({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "usage": usage}})


def _event(data: Mapping[str, object]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


async def _serve() -> None:
    app = Starlette(routes=[Route("/v1/responses", answer, methods=["POST"])])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small answers wait for the client's system
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(_serve())
