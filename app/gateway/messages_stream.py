"""A move of the scripted model in the words of the Anthropic Messages API: one JSON object, or its events (SSE).

Events: https://docs.anthropic.com/en/docs/build-with-claude/streaming.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from app.gateway.conversation import ShellTool, Toolbox
from app.gateway.rehearsal import Action, Ending, KeepWaiting, Move, RunCommand, WrongCall

COMMAND_MS = 600_000
"""The longest that Claude Code lets a command run."""
_DELTA_CHARS = 48
_SIGNATURE = "cmVoZWFyc2Fs"
"""What stands where a provider signs a thought: nobody checks it here."""

Json = dict[str, Any]
_STOPS: dict[Ending, str] = {"": "", "refusal": "refusal", "length": "max_tokens"}


def message(move: Move, toolbox: Toolbox, *, model: str, seed: str, tokens: tuple[int, int]) -> Json:
    """The complete message object. ``seed`` makes its id: the same request gets the same one."""
    mark = hashlib.sha256(seed.encode()).hexdigest()[:24]
    given, made = tokens
    return {
        "id": f"msg_{mark}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(_content(move, toolbox)),
        "stop_reason": _STOPS[move.ending] or ("tool_use" if move.actions else "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": given,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": made,
        },
    }


def message_events(whole: Json) -> Iterator[bytes]:
    """The stream that tells of ``whole`` bit by bit."""
    usage = whole["usage"]
    begun = whole | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield _event("message_start", message=begun)
    yield _event("ping")
    for index, block in enumerate(whole["content"]):
        yield from _block_events(index, block)
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=ended, usage={"output_tokens": usage["output_tokens"]})
    yield _event("message_stop")


def message_characters(whole: Json) -> int:
    """How much text the model made."""
    return len(json.dumps(whole["content"]))


def _content(move: Move, toolbox: Toolbox) -> Iterator[Json]:
    if move.thought:
        yield {"type": "thinking", "thinking": move.thought, "signature": _SIGNATURE}
    if move.say or not move.actions:
        yield {"type": "text", "text": move.say or "…"}  # an empty text is refused when it comes back
    for action in move.actions:
        yield {"type": "tool_use", "id": action.call_id, **_call(action, toolbox)}


def _call(action: Action, toolbox: Toolbox) -> Json:
    match action:
        case RunCommand(_, command):
            assert toolbox.shell is not None
            return {"name": toolbox.shell.name, "input": _command(toolbox.shell, command)}
        case KeepWaiting():
            raise AssertionError("no shell of this API leaves a command running")
        case WrongCall(_, tool, text):
            return {"name": tool, "input": text}
        case _:
            name, _ = toolbox.tools.get(action.tool, (action.tool, None))
            return {"name": name, "input": dict(action.arguments)}


def _command(shell: ShellTool, command: str) -> Json:
    timed = {"timeout": COMMAND_MS} if shell.name == "Bash" else {}
    return {"command": command, **timed}


def _block_events(index: int, block: Json) -> Iterator[bytes]:
    if block["type"] == "text":
        bare, text = {"type": "text", "text": ""}, block["text"]
        deltas = [{"type": "text_delta", "text": part} for part in _parts(text)]
    elif block["type"] == "thinking":
        bare, text = {"type": "thinking", "thinking": "", "signature": ""}, block["thinking"]
        deltas = [{"type": "thinking_delta", "thinking": part} for part in _parts(text)]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        given = block["input"]
        bare, text = block | {"input": {}}, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in _parts(text)]
    yield _event("content_block_start", index=index, content_block=bare)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _parts(text: str) -> list[str]:
    return [text[begin : begin + _DELTA_CHARS] for begin in range(0, len(text), _DELTA_CHARS)]


def _event(kind: str, **data: Any) -> bytes:
    text = json.dumps({"type": kind, **data}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()
