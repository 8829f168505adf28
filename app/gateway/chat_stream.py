"""A move of the scripted model in the words of Chat Completions: one JSON object, or its chunks (SSE)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from app.gateway.conversation import Toolbox
from app.gateway.rehearsal import Action, Ending, KeepWaiting, Move, RunCommand, WrongCall

_DELTA_CHARS = 48
Json = dict[str, Any]
_FINISHES: dict[Ending, str] = {"": "", "refusal": "content_filter", "length": "length"}


def completion(move: Move, toolbox: Toolbox, *, model: str, created: int, seed: str, tokens: tuple[int, int]) -> Json:
    """The complete object. ``seed`` makes its id: the same request gets the same one."""
    given, made = tokens
    calls = [_call(action, toolbox) for action in move.actions]
    message: Json = {"role": "assistant", "content": move.say or None}
    if move.thought:
        message["reasoning_content"] = move.thought
    if calls:
        message["tool_calls"] = calls
    finish = _FINISHES[move.ending] or ("tool_calls" if calls else "stop")
    return {
        "id": f"chatcmpl-{hashlib.sha256(seed.encode()).hexdigest()[:24]}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made},
    }


def chunks(whole: Json, *, usage: bool) -> Iterator[bytes]:
    """The stream that tells of ``whole`` bit by bit; the tokens at its end when they are asked for."""
    (choice,) = whole["choices"]
    message = choice["message"]
    yield _chunk(whole, {"role": "assistant", "content": ""})
    for name in ("reasoning_content", "content"):
        text = message.get(name) or ""
        for begin in range(0, len(text), _DELTA_CHARS):
            yield _chunk(whole, {name: text[begin : begin + _DELTA_CHARS]})
    for index, call in enumerate(message.get("tool_calls", ())):
        given = call["function"]
        bare = {"name": given["name"], "arguments": ""}
        yield _chunk(whole, {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": bare}]})
        for begin in range(0, len(given["arguments"]), _DELTA_CHARS):
            part = {"arguments": given["arguments"][begin : begin + _DELTA_CHARS]}
            yield _chunk(whole, {"tool_calls": [{"index": index, "function": part}]})
    yield _chunk(whole, {}, finish=choice["finish_reason"])
    if usage:
        yield _event(_common(whole) | {"choices": [], "usage": whole["usage"]})
    yield b"data: [DONE]\n\n"


def completion_characters(whole: Json) -> int:
    """How much text the model made."""
    return len(json.dumps(whole["choices"][0]["message"]))


def _call(action: Action, toolbox: Toolbox) -> Json:
    match action:
        case RunCommand(_, command):
            assert toolbox.shell is not None
            name, arguments = toolbox.shell.name, {"command": command}
        case KeepWaiting():
            raise AssertionError("no shell of this API leaves a command running")
        case WrongCall(call_id, tool, text):
            return {"id": call_id, "type": "function", "function": {"name": tool, "arguments": text}}
        case _:
            name, _ = toolbox.tools.get(action.tool, (action.tool, None))
            arguments = dict(action.arguments)
    text = json.dumps(arguments, ensure_ascii=False)
    return {"id": action.call_id, "type": "function", "function": {"name": name, "arguments": text}}


def _common(whole: Json) -> Json:
    return {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}


def _chunk(whole: Json, delta: Json, finish: str | None = None) -> bytes:
    return _event(_common(whole) | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(data: Json) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
