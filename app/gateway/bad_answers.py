"""Answers as bad models give them: a good move, made wrong on demand."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace

from starlette.responses import Response

from app.gateway.door import ModelApi
from app.gateway.rehearsal import Move, WrongCall
from app.gateway.replies import problem
from app.gateway.scenario import Trouble

REFUSAL = "I will not do that."
CUT = "I have very much to say about this, and"
NO_TOOL = "no_such_tool"
_TOO_LONG = "prompt is too long: your input exceeds the context window of this model"


def worsened(move: Move, trouble: Trouble) -> Move:
    """The move as the trouble has it. Its calls get ids that are no step's: the step is still to come."""
    match trouble.does:
        case "refusal":
            return replace(move, say=REFUSAL, thought="", actions=(), ending="refusal")
        case "length":
            return replace(
                move, say=CUT, actions=tuple(_wrong(move, "write_file", '{"path": "a.txt", "con')), ending="length"
            )
        case "malformed":
            return replace(move, actions=tuple(_wrong(move, "memory_append", '{"text": "half a no')))
        case "unknown_tool":
            return replace(move, actions=tuple(_wrong(move, NO_TOOL, "{}")))
        case _:
            return move


def broken_off(events: Sequence[bytes]) -> bytes:
    """The first half of a stream."""
    return b"".join(events[: len(events) // 2])


def failure(trouble: Trouble, api: ModelApi) -> Response:
    """The error that the trouble is."""
    if trouble.does == "overflow":
        return problem(400, _TOO_LONG, api=api, code="context_length_exceeded")
    headers = {} if trouble.retry_after is None else {"retry-after": f"{trouble.retry_after:g}"}
    words = "the rehearsed model does not answer, as its scenario says"
    return problem(trouble.status, words, api=api, headers=headers)


def _wrong(move: Move, tool: str, arguments: str) -> Iterator[WrongCall]:
    for _ in move.actions:
        yield WrongCall(f"wrong_{secrets.token_hex(6)}", tool, arguments)
