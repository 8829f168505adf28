"""A move of the scripted model in the words of the OpenAI Responses API: one JSON object, or its events (SSE)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.conversation import ShellTool, Toolbox
from app.gateway.rehearsal import Action, KeepWaiting, Move, RunCommand, WrongCall

YIELD_MS = 30_000
"""How long the harness waits for a command before it says that it is still running; the longest it allows."""
POLL_MS = 30_000
COMMAND_MS = 600_000
_DELTA_CHARS = 48

Json = dict[str, Any]
_BARE: Mapping[str, Json] = {"message": {"content": []}, "function_call": {"arguments": ""}}


def response(move: Move, toolbox: Toolbox, *, model: str, created_at: int, seed: str, tokens: tuple[int, int]) -> Json:
    """The complete response object. ``seed`` makes its ids: the same request gets the same ids."""
    mark = hashlib.sha256(seed.encode()).hexdigest()[:16]
    given, made = tokens
    return {
        "id": f"resp_{mark}",
        "object": "response",
        "created_at": created_at,
        "status": "incomplete" if move.ending == "length" else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if move.ending == "length" else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": list(_output(move, toolbox, mark)),
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": given + made,
        },
    }


def events(whole: Json) -> Iterator[bytes]:
    """The stream that tells of ``whole`` bit by bit, each event with its number."""
    begun = whole | {"status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    told = [("response.created", {"response": begun}), ("response.in_progress", {"response": begun})]
    for index, item in enumerate(whole["output"]):
        told += _item_events(index, item)
    told.append((f"response.{whole['status']}", {"response": whole}))
    for number, (kind, data) in enumerate(told):
        text = json.dumps({"type": kind, "sequence_number": number, **data}, ensure_ascii=False, separators=(",", ":"))
        yield f"event: {kind}\ndata: {text}\n\n".encode()


def output_characters(whole: Json) -> int:
    """How much text the model made."""
    return len(json.dumps(whole["output"]))


def _output(move: Move, toolbox: Toolbox, mark: str) -> Iterator[Json]:
    if move.thought:
        summary = [{"type": "summary_text", "text": move.thought}]
        yield {"id": f"rs_{mark}", "type": "reasoning", "summary": summary}
    if move.say or not move.actions:
        content: list[Json] = [{"type": "output_text", "text": move.say, "annotations": [], "logprobs": []}]
        if move.ending == "refusal":
            content = [{"type": "refusal", "refusal": move.say}]
        yield {"id": f"msg_{mark}", "type": "message", "status": "completed", "role": "assistant", "content": content}
    for number, action in enumerate(move.actions):
        yield {"id": f"fc_{mark}_{number}", "type": "function_call", "status": "completed"} | _call(action, toolbox)


def _call(action: Action, toolbox: Toolbox) -> Json:
    match action:
        case RunCommand(call_id, command):
            assert toolbox.shell is not None
            return _named(call_id, toolbox.shell.name, _command(toolbox.shell, command))
        case KeepWaiting(call_id, session):
            arguments = {"session_id": session, "chars": "", "yield_time_ms": POLL_MS}
            return _named(call_id, "write_stdin", arguments)
        case WrongCall(call_id, tool, text):
            return {"call_id": call_id, "name": tool, "arguments": text}
        case _:
            name, namespace = toolbox.tools.get(action.tool, (action.tool, None))
            return _named(action.call_id, name, action.arguments) | ({"namespace": namespace} if namespace else {})


def _command(shell: ShellTool, command: str) -> Json:
    if shell.shape == "run_command":
        return {"command": command}
    if shell.shape == "exec_command":
        return {"cmd": command, "yield_time_ms": YIELD_MS}
    listed = ["bash", "-lc", command] if shell.shape == "command_list" else command
    return {"command": listed, "timeout_ms": COMMAND_MS}


def _named(call_id: str, name: str, arguments: Mapping[str, Any]) -> Json:
    return {"call_id": call_id, "name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}


def _item_events(index: int, item: Json) -> list[tuple[str, Json]]:
    inner = {"message": _message_events, "function_call": _call_events}.get(item["type"])
    bare = _BARE.get(item["type"], {})
    status = {"status": "in_progress"} if "status" in item else {}
    added = ("response.output_item.added", {"output_index": index, "item": item | bare | status})
    done = ("response.output_item.done", {"output_index": index, "item": item})
    return [added, *(inner(index, item) if inner else []), done]


def _message_events(index: int, item: Json) -> list[tuple[str, Json]]:
    part = item["content"][0]
    if part["type"] == "refusal":
        return _refusal_events(index, item, part)
    text: str = part["text"]
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    deltas = [text[begin : begin + _DELTA_CHARS] for begin in range(0, len(text), _DELTA_CHARS)]
    return [
        ("response.content_part.added", {**place, "part": part | {"text": ""}}),
        *(("response.output_text.delta", {**place, "delta": delta, "logprobs": []}) for delta in deltas),
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": part}),
    ]


def _refusal_events(index: int, item: Json, part: Json) -> list[tuple[str, Json]]:
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    return [
        ("response.content_part.added", {**place, "part": part | {"refusal": ""}}),
        ("response.refusal.delta", {**place, "delta": part["refusal"]}),
        ("response.refusal.done", {**place, "refusal": part["refusal"]}),
        ("response.content_part.done", {**place, "part": part}),
    ]


def _call_events(index: int, item: Json) -> list[tuple[str, Json]]:
    place = {"item_id": item["id"], "output_index": index}
    return [
        ("response.function_call_arguments.delta", {**place, "delta": item["arguments"]}),
        ("response.function_call_arguments.done", {**place, "name": item["name"], "arguments": item["arguments"]}),
    ]
