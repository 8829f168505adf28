"""Model requests on their way to a real provider: known paths only, the guest's credentials off, the real one on."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.domain.errors import GatewayError
from app.gateway.door import DoorSpec, Gate, Meter, ModelApi, Provider, UsageLimit, always_open, usage
from app.gateway.keyring import resolve
from app.gateway.metering import UsageReader
from app.gateway.provider_limits import read_usage_limit
from app.gateway.replies import not_let_through, problem, read_body

RETRY_AFTER_SECONDS = 10
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_TIMEOUT = httpx.Timeout(600, connect=10, pool=30)
_PROBE_SECONDS = 15
_MODEL_ID = r"[A-Za-z0-9._:@-]{1,200}"
_KNOWN: Mapping[ModelApi, Mapping[str, re.Pattern[str]]] = {
    "openai": {
        "POST": re.compile(r"responses|responses/compact|responses/input_tokens|chat/completions"),
        "GET": re.compile(rf"models|models/{_MODEL_ID}"),
    },
    "anthropic": {
        "POST": re.compile(r"messages|messages/count_tokens"),
        "GET": re.compile(rf"models|models/{_MODEL_ID}"),
    },
}
_SENT = re.compile(
    r"accept|content-type|user-agent|originator|session-id|thread-id|openai-beta|anthropic-(version|beta)|"
    r"x-client-request-id|x-stainless-[a-z-]+"
)
_RETURNED = re.compile(
    r"content-type|retry-after(-ms)?|x-should-retry|(x-)?request-id|(x|anthropic)-ratelimit-[a-z-]+|openai-(model|processing-ms)"
)


class KeyEchoed(Exception):
    """The provider sent the credential back; what came is not passed on."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One request on its way."""

    door: DoorSpec
    provider: Provider
    model: str
    key: bytes
    begun: float


class ModelProxy:
    """Forwards requests to providers. One per gateway; ``close`` it at the end."""

    def __init__(self, meter: Meter, gate: Gate = always_open) -> None:
        self._meter = meter
        self._gate = gate
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Drop all connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def forward(self, door: DoorSpec, provider: Provider, path: str, request: Request) -> Response:
        """The provider's answer to ``request`` for ``path`` (what follows ``/v1/``), or a problem in its shape."""
        if not is_known(provider.api, request.method, path):
            return problem(404, f"{request.method} {path[:100]} is not served here", api=provider.api)
        begun, body = time.monotonic(), await read_body(request)
        try:
            key = await _secret(provider)
        except GatewayError as error:
            self._count(_Call(door, provider, model_of(body), b"", begun), 401, (0, 0))
            return problem(401, str(error), api=provider.api, code="credential")
        call = _Call(door, provider, model_of(body), key, begun)
        outgoing = self._request(provider, path, request, body, key)
        try:
            return await self._send(call, outgoing)
        except httpx.HTTPError as error:
            self._count(call, 503, (0, 0))
            if closed := self._gate(door.key):
                return not_let_through(closed, provider.api)
            message = f"the model provider {provider.name} cannot be reached: {type(error).__name__}"
            return problem(503, message, api=provider.api, code="provider_down", headers=_retry())
        except KeyEchoed:
            self._count(call, 502, (0, 0))
            return problem(502, f"the answer of {provider.name} was withheld: it held the key", api=provider.api)

    def _request(self, provider: Provider, path: str, request: Request, body: bytes, key: bytes) -> httpx.Request:
        base = provider.base_url.rstrip("/") + ("/v1/" if provider.api == "anthropic" else "/")
        headers = {name: value for name, value in request.headers.items() if _SENT.fullmatch(name)}
        # Compressed answers could not be counted; on the way to a provider the model takes the time, not the bytes.
        headers |= {"accept-encoding": "identity"} | _authorization(provider.api, key)
        url = httpx.URL(base + path, query=request.scope["query_string"][:2000] or None)
        return self._http().build_request(request.method, url, headers=headers, content=body)

    async def _send(self, call: _Call, outgoing: httpx.Request) -> Response:
        assert self._client is not None
        async with AsyncExitStack() as stack:
            answer = await self._client.send(outgoing, stream=True)
            stack.push_async_callback(answer.aclose)
            headers = {name: value for name, value in answer.headers.items() if _RETURNED.fullmatch(name)}
            _check(call.key, " ".join(headers.values()).encode())
            if answer.is_success and answer.headers.get("content-type", "").startswith("text/event-stream"):
                stack.pop_all()
                return StreamingResponse(self._stream(call, answer), answer.status_code, headers)
            return await self._whole(call, answer, headers)
        raise AssertionError("unreachable")

    async def _whole(self, call: _Call, answer: httpx.Response, headers: dict[str, str]) -> Response:
        reader = UsageReader(stream=False)
        parts = bytearray()
        async for chunk in answer.aiter_raw():
            parts += chunk
            if len(parts) > MAX_ANSWER_BYTES:
                raise httpx.ReadError("the answer is too long")
        body = bytes(parts)
        _check(call.key, body)
        reader.feed(body)
        reader.end()
        limit = read_usage_limit(answer.status_code, answer.headers, body, time.time())
        self._count(call, answer.status_code, reader.tokens, reader.cache, limit)
        if not answer.is_success and (closed := self._gate(call.door.key)):
            return not_let_through(closed, call.provider.api)
        if answer.status_code in (401, 403):
            # Providers like to quote part of the key here; and it is the user's to mend, not the agent's.
            message = f"{call.provider.name} refused the credential; the user has to mend it"
            return problem(answer.status_code, message, api=call.provider.api, code="credential_refused")
        return Response(body, answer.status_code, headers)

    async def _stream(self, call: _Call, answer: httpx.Response) -> AsyncIterator[bytes]:
        reader, tail = UsageReader(stream=True), b""
        status = answer.status_code
        try:
            async for chunk in answer.aiter_raw():
                _check(call.key, tail + chunk)
                tail = (tail + chunk)[-len(call.key) :] if call.key else b""
                reader.feed(chunk)
                yield chunk
        except (httpx.HTTPError, KeyEchoed):
            # The guest's client sees a stream without its last event, which it knows how to retry.
            status = 502
        finally:
            await answer.aclose()
            reader.end()
            self._count(call, status, reader.tokens, reader.cache)

    def _count(
        self,
        call: _Call,
        status: int,
        tokens: tuple[int, int],
        cache: tuple[int, int] = (0, 0),
        limit: UsageLimit | None = None,
    ) -> None:
        self._meter(
            usage(
                call.door,
                provider=call.provider.name,
                model=call.model,
                status=status,
                tokens=tokens,
                seconds=time.monotonic() - call.begun,
                cache=cache,
                limit=limit,
            )
        )

    async def answers(self, provider: Provider) -> bool:
        """Whether the provider is there and says anything but that it cannot serve: a look that costs nothing."""
        base = provider.base_url.rstrip("/") + ("/v1/" if provider.api == "anthropic" else "/")
        try:
            headers = _authorization(provider.api, await _secret(provider))
            answer = await self._http().get(f"{base}models", headers=headers, timeout=_PROBE_SECONDS)
        except (httpx.HTTPError, GatewayError):
            return False
        return answer.status_code < 500

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False)
        return self._client


def is_known(api: ModelApi, method: str, path: str) -> bool:
    """Whether ``path`` (what follows ``/v1/``) is one of the API's that agents need."""
    pattern = _KNOWN[api].get(method)
    return pattern is not None and pattern.fullmatch(path) is not None


def model_of(body: bytes) -> str:
    """The model a request names, or ''."""
    try:
        found: Any = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return ""
    model = found.get("model") if isinstance(found, dict) else None
    return model[:200] if isinstance(model, str) else ""


async def _secret(provider: Provider) -> bytes:
    if provider.credential is None:
        return b""
    secret = await asyncio.to_thread(resolve, provider.credential)
    return secret.get_secret_value().encode()


def _authorization(api: ModelApi, key: bytes) -> dict[str, str]:
    if not key:
        return {}
    return {"x-api-key": key.decode()} if api == "anthropic" else {"authorization": f"Bearer {key.decode()}"}


def _check(key: bytes, data: bytes) -> None:
    if key and key in data:
        raise KeyEchoed


def _retry() -> dict[str, str]:
    return {"retry-after": str(RETRY_AFTER_SECONDS)}
