"""What providers say of their limits of use, in all the ways in which they say it."""

from __future__ import annotations

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.gateway.door import ModelUsage, Provider, UsageLimit
from app.gateway.provider_limits import read_usage_limit
from app.gateway.server import Gateway
from tests.gateway.conftest import Calls, Client, MakeDoor
from tests.gateway.test_model_proxy import Upstream, provider, upstream

__all__ = ["provider", "upstream"]

NOW = 1_795_000_000.0


def error(**values: object) -> bytes:
    return json.dumps({"error": values}).encode()


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, error(type="usage_limit_reached", message="You have hit your limit.", resets_at=NOW + 600), 600),
        ({}, error(type="usage_limit_reached", resets_in_seconds=90), 90),
        ({"retry-after": "300"}, b"", 300),
        ({"retry-after-ms": "120000"}, b"", 120),
        ({"retry-after": "Wed, 18 Nov 2026 11:16:40 GMT"}, b"", 600),
        ({"anthropic-ratelimit-unified-reset": str(int(NOW) + 7200)}, error(type="rate_limit_error"), 7200),
        ({"anthropic-ratelimit-tokens-reset": "2026-11-18T11:16:40Z"}, b"{}", 600),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, b"", 360),
        ({}, error(code="insufficient_quota", message="You exceeded your current quota."), None),
    ],
)
def test_limits_and_when_they_end(headers: dict[str, str], body: bytes, seconds: float | None) -> None:
    found = read_usage_limit(429, headers, body, NOW)
    assert found is not None
    assert found.seconds == seconds


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (429, {"retry-after": "3"}, error(type="rate_limit_error")),
        (429, {"x-ratelimit-reset-tokens": "20ms"}, error(code="rate_limit_exceeded")),
        (429, {}, b"slow down"),
        (503, {"retry-after": "3600"}, b""),
        (200, {}, error(type="usage_limit_reached")),
    ],
)
def test_what_is_over_in_a_moment_is_left_to_the_program(status: int, headers: dict[str, str], body: bytes) -> None:
    assert read_usage_limit(status, headers, body, NOW) is None


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset-tokens"]), st.text()), st.binary())
def test_nothing_a_provider_sends_breaks_it(headers: dict[str, str], body: bytes) -> None:
    found = read_usage_limit(429, headers, body, NOW)
    assert found is None or found.seconds is None or found.seconds >= 0


class Closed:
    """A gate that closes with the first limit it hears of."""

    def __init__(self) -> None:
        self.heard: list[ModelUsage] = []
        self.why = ""

    def meter(self, usage: ModelUsage) -> None:
        self.heard.append(usage)
        if usage.limit is not None:
            self.why = "usage limit until 14:30"

    def gate(self, key: str) -> str:
        return self.why


@pytest.mark.parametrize("api", ["openai", "anthropic"])
async def test_a_closed_gate_answers_400_in_the_providers_shape(
    calls: Calls, door: MakeDoor, client: Client, upstream: Upstream, provider: Provider, api: str
) -> None:
    async def limited(request: Request) -> Response:
        return JSONResponse(
            {"error": {"type": "usage_limit_reached", "message": "no more"}}, 429, {"retry-after": "900"}
        )

    upstream.answer = limited
    closed = Closed()
    gateway = Gateway(calls, closed.meter, gate=closed.gate)
    kind = Provider("p", api, provider.base_url, provider.credential)  # type: ignore[arg-type]
    spec = door(upstream=kind)
    await gateway.open_door(spec)
    try:
        path = "/openai/v1/responses" if api == "openai" else "/anthropic/v1/messages"
        replies: list[httpx2.Response] = [await client(spec).post(path, json={"model": "m"}) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [400, 400, 400], "429 would be tried again"
        assert len(upstream.requests) == 1, "what is not let through does not go out"
        body = replies[1].json()["error"]
        assert body["type"] == "invalid_request_error"
        assert "usage limit until 14:30" in body["message"]
        assert replies[1].headers["x-should-retry"] == "false"
        assert [(usage.status, usage.limit) for usage in closed.heard] == [(429, UsageLimit(900.0, "no more"))]
    finally:
        await gateway.stop()
