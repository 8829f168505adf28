"""What a guest is told when something is wrong: JSON in its API's own shape, in words, with no inner detail."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.gateway.door import ModelApi

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_TOOL_BODY_BYTES = 1024 * 1024
_ANTHROPIC_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class TooLarge(Exception):
    """The request's body is larger than it may be."""


def problem(
    status: int, message: str, *, api: ModelApi = "openai", code: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """An error reply in the shape that the clients of ``api`` read."""
    if api == "anthropic":
        kind = _ANTHROPIC_KINDS.get(status, "api_error")
        body: dict[str, object] = {"type": "error", "error": {"type": kind, "message": message}}
    else:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        body = {"error": {"message": message, "type": kind, "param": None, "code": code or None}}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def not_let_through(why: str, api: ModelApi = "openai") -> Response:
    """The reply to a model request that Skerry does not let through. 400: the clients of both APIs do not repeat it."""
    words = f"Skerry does not let this request through: {why}. Do not try again; you are told how it goes on."
    return problem(400, words, api=api, code="skerry_limit", headers={"x-should-retry": "false"})


async def read_body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body, at most ``limit`` bytes. Raises TooLarge as soon as there are more."""
    parts = bytearray()
    async for chunk in request.stream():
        parts += chunk
        if len(parts) > limit:
            raise TooLarge
    return bytes(parts)


def too_large(limit: int, api: ModelApi = "openai") -> Response:
    """The reply to a body beyond ``limit`` bytes; the connection is closed, as the rest was not read."""
    message = f"the request has more than {limit} bytes"
    return problem(413, message, api=api, code="request_too_large", headers={"connection": "close"})
