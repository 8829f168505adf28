"""Model requests through a door to a provider that runs here: what goes out, what comes back, what is counted."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI, AuthenticationError, InternalServerError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.gateway.door import ModelUsage, Provider
from app.gateway.model_proxy import is_known
from app.gateway.server import Gateway
from tests.gateway.conftest import Client, MakeDoor

KEY = "sk-real-key-0123456789"
EVENTS = [
    'event: response.created\ndata: {"type":"response.created","response":{"id":"r","usage":null}}\n\n',
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"h\u00e9"}\n\n',
    'data: {"type":"response.completed","response":{"id":"r","usage":{"input_tokens":70,"output_tokens":8}}}\n\n',
]
Answer = Callable[[Request], Awaitable[Response]]


class Upstream:
    """A provider on a loopback port."""

    def __init__(self) -> None:
        self.requests: list[tuple[Request, bytes]] = []
        self.answer: Answer | None = None
        self.url = ""

    async def handle(self, request: Request) -> Response:
        self.requests.append((request, await request.body()))
        return await self.answer(request) if self.answer else JSONResponse({"ok": True})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    provider = Upstream()
    app = Starlette(routes=[Route("/{path:path}", provider.handle, methods=["GET", "POST"])])
    with socket.create_server(("127.0.0.1", 0)) as sock:
        provider.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        task = asyncio.create_task(server._serve([sock]))
        while not server.started:  # noqa: ASYNC110  (uvicorn has no event for it)
            await asyncio.sleep(0.005)
        yield provider
        server.should_exit = True
        await task


@pytest.fixture
def provider(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setenv("TEST_KEY", KEY)
    return Provider("openai", "openai", f"{upstream.url}/v1", "env:TEST_KEY")


async def streamed(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        whole = "".join(EVENTS).encode()
        for begin in range(0, len(whole), 7):  # events and characters cut anywhere
            yield whole[begin : begin + 7]
            await asyncio.sleep(0)

    return StreamingResponse(
        parts(), media_type="text/event-stream", headers={"set-cookie": "a=b", "x-request-id": "q"}
    )


async def test_a_stream_passes_unchanged_and_is_counted(
    gateway: Gateway, door: MakeDoor, client: Client, upstream: Upstream, provider: Provider, metered: list[ModelUsage]
) -> None:
    upstream.answer = streamed
    spec = door(upstream=provider)
    await gateway.open_door(spec)
    body = b'{"model": "gpt-x",  "stream": true}'
    headers = {"authorization": "Bearer guest", "cookie": "c=1", "openai-organization": "evil", "openai-beta": "b"}
    reply = await client(spec).post("/openai/v1/responses?x=1", content=body, headers=headers)
    assert reply.content == "".join(EVENTS).encode()
    assert reply.headers["x-request-id"] == "q" and "set-cookie" not in reply.headers
    request, sent = upstream.requests[0]
    assert (request.url.path, request.url.query, sent) == ("/v1/responses", "x=1", body)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["openai-beta"] == "b"
    assert not {"cookie", "openai-organization"} & set(request.headers)
    assert KEY not in reply.text + str(reply.headers)
    assert [(u.provider, u.model, u.status, u.input_tokens, u.output_tokens) for u in metered] == [
        ("openai", "gpt-x", 200, 70, 8)
    ]
    assert (metered[0].fleet, metered[0].run, metered[0].agent) == ("f", "r1", "alice")


async def test_bytes_come_as_they_are_sent(
    gateway: Gateway, door: MakeDoor, client: Client, upstream: Upstream, provider: Provider
) -> None:
    go_on = asyncio.Event()

    async def slow(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            await go_on.wait()
            yield b"data: 2\n\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    upstream.answer = slow
    spec = door(upstream=provider)
    await gateway.open_door(spec)
    async with client(spec).stream("POST", "/openai/v1/responses", json={}) as reply:
        chunks = reply.aiter_bytes()
        assert await anext(chunks) == b"data: 1\n\n"
        go_on.set()
        assert await anext(chunks) == b"data: 2\n\n"


async def test_the_official_clients_go_through(
    gateway: Gateway, door: MakeDoor, client: Client, upstream: Upstream, provider: Provider, metered: list[ModelUsage]
) -> None:
    async def chat(request: Request) -> Response:
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
        return JSONResponse({"id": "c", "object": "chat.completion", "choices": [message], "usage": usage})

    async def message(request: Request) -> Response:
        usage = {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 2}
        content = [{"type": "text", "text": "hi"}]
        return JSONResponse({"id": "m", "type": "message", "role": "assistant", "content": content, "usage": usage})

    openai_door, anthropic_door = (
        door("alice", provider),
        door("bob", Provider("a", "anthropic", upstream.url, "env:TEST_KEY")),
    )
    await gateway.open_door(openai_door)
    await gateway.open_door(anthropic_door)
    upstream.answer = chat
    openai = AsyncOpenAI(base_url="http://g/openai/v1", api_key="guest", http_client=client(openai_door))
    made = await openai.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert made.choices[0].message.content == "hi"
    upstream.answer = message
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(anthropic_door.socket))) as http:
        anthropic = AsyncAnthropic(base_url="http://g/anthropic", api_key="guest", http_client=http)
        answer = await anthropic.messages.create(model="c", max_tokens=9, messages=[{"role": "user", "content": "x"}])
    assert answer.content[0].to_dict()["text"] == "hi"
    request, _ = upstream.requests[-1]
    assert (request.url.path, request.headers["x-api-key"]) == ("/v1/messages", KEY)
    assert "authorization" not in request.headers
    assert [(u.input_tokens, u.output_tokens) for u in metered] == [(5, 2), (7, 2)]


async def test_a_providers_error_passes_with_its_status(
    gateway: Gateway, door: MakeDoor, client: Client, upstream: Upstream, provider: Provider, metered: list[ModelUsage]
) -> None:
    async def limited(request: Request) -> Response:
        return JSONResponse({"error": {"message": "slow down"}}, 429, {"retry-after": "7"})

    upstream.answer = limited
    spec = door(upstream=provider)
    await gateway.open_door(spec)
    reply = await client(spec).post("/openai/v1/responses", json={"model": "m"})
    assert (reply.status_code, reply.headers["retry-after"], reply.json()["error"]["message"]) == (
        429,
        "7",
        "slow down",
    )
    assert [use.status for use in metered] == [429]


async def test_the_key_never_comes_back(
    gateway: Gateway,
    door: MakeDoor,
    client: Client,
    upstream: Upstream,
    provider: Provider,
    subtests: pytest.Subtests,
) -> None:
    async def echo(request: Request) -> Response:
        told = request.headers["authorization"]
        place, status = request.query_params["place"], int(request.query_params["status"])
        if place == "header":
            return Response("x", status, {"x-request-id": told})
        if place == "body":
            return JSONResponse({"error": {"message": f"Incorrect API key provided: {told}"}}, status)

        async def parts() -> AsyncIterator[bytes]:
            for begin in range(0, len(told), 5):
                yield told[begin : begin + 5].encode()
                await asyncio.sleep(0)

        return StreamingResponse(parts(), status, media_type="text/event-stream")

    upstream.answer = echo
    spec = door(upstream=provider)
    await gateway.open_door(spec)
    for place in ("body", "header", "stream"):
        for status in (200, 400, 401):
            with subtests.test(place=place, status=status):
                reply = await client(spec).post(f"/openai/v1/responses?place={place}&status={status}", json={})
                assert KEY not in reply.text + str(reply.headers)
    assert len(upstream.requests) == 9


async def test_a_refused_credential_is_the_users_to_mend(
    gateway: Gateway, door: MakeDoor, client: Client, upstream: Upstream, provider: Provider
) -> None:
    async def refused(request: Request) -> Response:
        return JSONResponse({"error": {"message": "Incorrect API key provided: sk-re***6789"}}, 401)

    upstream.answer = refused
    spec = door(upstream=provider)
    await gateway.open_door(spec)
    openai = AsyncOpenAI(base_url="http://g/openai/v1", api_key="guest", http_client=client(spec), max_retries=0)
    with pytest.raises(AuthenticationError, match="user has to mend") as caught:
        await openai.responses.create(model="m", input="x")
    assert "6789" not in str(caught.value)


async def test_a_missing_credential_is_told_without_a_request(
    gateway: Gateway, door: MakeDoor, client: Client, upstream: Upstream, metered: list[ModelUsage]
) -> None:
    spec = door(upstream=Provider("openai", "openai", upstream.url, "env:NOT_SET"))
    await gateway.open_door(spec)
    reply = await client(spec).post("/openai/v1/responses", json={})
    assert reply.status_code == 401
    assert "NOT_SET is not set" in reply.json()["error"]["message"]
    assert upstream.requests == []
    assert [use.status for use in metered] == [401]


async def test_without_a_credential_none_is_sent(
    gateway: Gateway, door: MakeDoor, client: Client, upstream: Upstream
) -> None:
    spec = door(upstream=Provider("local", "openai", f"{upstream.url}/v1"))
    await gateway.open_door(spec)
    await client(spec).post("/openai/v1/responses", json={}, headers={"authorization": "Bearer guest"})
    assert "authorization" not in upstream.requests[0][0].headers


async def test_a_provider_that_is_down_is_told_with_a_time(
    gateway: Gateway, door: MakeDoor, client: Client, metered: list[ModelUsage]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    spec = door(upstream=Provider("local", "openai", f"http://127.0.0.1:{port}/v1"))
    await gateway.open_door(spec)
    reply = await client(spec).post("/openai/v1/responses", json={"model": "m"})
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "10")
    assert reply.json()["error"]["code"] == "provider_down"
    assert [use.status for use in metered] == [503]
    openai = AsyncOpenAI(base_url="http://g/openai/v1", api_key="x", http_client=client(spec), max_retries=0)
    with pytest.raises(InternalServerError):
        await openai.responses.create(model="m", input="x")


async def test_a_down_provider_speaks_anthropic_to_its_clients(
    gateway: Gateway, door: MakeDoor, client: Client
) -> None:
    spec = door(upstream=Provider("a", "anthropic", "http://127.0.0.1:1"))
    await gateway.open_door(spec)
    reply = await client(spec).post("/anthropic/v1/messages", json={})
    assert reply.status_code == 503
    assert reply.json()["error"]["type"] == "overloaded_error"


async def test_a_stream_that_breaks_is_counted_and_ends(
    gateway: Gateway,
    door: MakeDoor,
    client: Client,
    sockets: Path,
    metered: list[ModelUsage],
) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\ndata: 1\n\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(broken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    spec = door(upstream=Provider("local", "openai", f"http://127.0.0.1:{port}"))
    await gateway.open_door(spec)
    reply = await client(spec).post("/openai/v1/responses", json={})
    server.close()
    assert reply.content == b"data: 1\n\n"
    assert [use.status for use in metered] == [502]


@pytest.mark.parametrize(
    "path", ["files", "responses/../files", "responses/x/cancel", "v1/responses", "responses/", ""]
)
def test_only_known_paths_are_served(path: str) -> None:
    assert not any(is_known(api, method, path) for api in ("openai", "anthropic") for method in ("GET", "POST"))


async def test_nothing_of_the_key_is_logged(
    gateway: Gateway, door: MakeDoor, client: Client, upstream: Upstream, provider: Provider, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    spec = door(upstream=provider)
    await gateway.open_door(spec)
    await client(spec).post("/openai/v1/responses", content=json.dumps({"model": "m"}))
    assert upstream.requests
    assert KEY not in caplog.text
