"""One model call over the OpenAI Responses API, streamed; nothing is stored at the provider.

Format: https://platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from openai import AsyncOpenAI

from app.domain.loops import (
    ContextOverflow,
    LoopCall,
    LoopItem,
    LoopOutcome,
    LoopReply,
    LoopTool,
    ModelAsk,
    Stop,
    Told,
    own_id,
    read_arguments,
)
from app.domain.ports import Hear, Said
from app.runtimes.api_loop import BrokenAnswer, too_long

API: Final = "openai"
_REASONING = re.compile(r"(gpt-[5-9]|o\d|codex)(?!.*chat)")
"""Models whose thoughts go back to them, encrypted; others refuse to be asked for them."""
_KEPT: Final = {
    "message": ("type", "role", "content"),
    "function_call": ("type", "call_id", "name", "arguments"),
    "reasoning": ("type", "summary", "encrypted_content"),
}


async def ask_responses(client: AsyncOpenAI, model: str, system: str, ask: ModelAsk, hear: Hear) -> LoopReply:
    """The model's reply. Raises the SDK's errors, BrokenAnswer and ContextOverflow."""
    request: dict[str, Any] = {
        "instructions": system,
        "input": list(_input(ask.items)),
        "tools": [_tool(tool) for tool in ask.tools],
        "tool_choice": "auto" if ask.may_call else "none",
        "parallel_tool_calls": True,
        "prompt_cache_key": ask.thread[-64:],
        "store": False,
    }
    if _REASONING.match(model):
        request["include"] = ["reasoning.encrypted_content"]
    stream: Any = await client.responses.create(model=model, stream=True, **request)
    whole: dict[str, Any] | None = None
    async with stream:
        async for event in stream:
            found = await _heard(event, hear)
            whole = found or whole
    if whole is None:
        raise BrokenAnswer("the answer of the model had no end", operation="ask the model")
    return _reply(whole, ask)


async def _heard(event: Any, hear: Hear) -> dict[str, Any] | None:
    """Pass words on; the whole answer with the last event."""
    match event.type:
        case "response.output_text.delta" | "response.refusal.delta":
            await hear(Said(event.delta))
        case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
            await hear(Said(event.delta, thought=True))
        case "response.completed" | "response.incomplete":
            whole: dict[str, Any] = event.response.to_dict(mode="json")
            return whole
        case "response.failed":
            error = event.response.error
            words = f"{error.code}: {error.message}" if error is not None else "for a reason that was not told"
            if too_long(words):
                raise ContextOverflow(f"the conversation is too long: {words}", operation="ask the model")
            raise BrokenAnswer(f"the model provider failed: {words}", operation="ask the model")
        case _:
            pass
    return None


def _reply(whole: Mapping[str, Any], ask: ModelAsk) -> LoopReply:
    why = (whole.get("incomplete_details") or {}).get("reason")
    cut = why == "max_output_tokens"
    native: list[dict[str, Any]] = []
    calls: list[LoopCall] = []
    texts: list[str] = []
    refused = why == "content_filter"
    for item in whole.get("output") or []:
        kind = item.get("type")
        if kind == "function_call":
            call = LoopCall(id="", name=str(item.get("name", "")), arguments=str(item.get("arguments") or "{}"))
            if cut and read_arguments(call) is None:
                continue  # it was not whole
            call = call.model_copy(update={"id": own_id(item.get("call_id"), ask, len(calls) + 1)})
            calls.append(call)
            native.append(_given_back(item) | {"call_id": call.id, "arguments": _sound(call)})
        elif kind == "message":
            parts = item.get("content") or []
            refused = refused or any(part.get("type") == "refusal" for part in parts)
            texts += [str(part.get("text") or part.get("refusal") or "") for part in parts]
            if texts[-1:] != [""]:
                native.append(_given_back(item))
        elif kind == "reasoning" and item.get("encrypted_content"):
            native.append(_given_back(item))
    stop: Stop = "length" if cut else "tools" if calls else "refusal" if refused else "end"
    usage = whole.get("usage") or {}
    return LoopReply(
        api=API,
        text="".join(texts),
        calls=tuple(calls),
        stop=stop,
        native=tuple(native),
        input_tokens=usage.get("input_tokens") or 0,
        output_tokens=usage.get("output_tokens") or 0,
    )


def _given_back(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item[key] for key in _KEPT[item["type"]] if item.get(key) is not None}


def _input(items: Sequence[LoopItem]) -> Iterator[dict[str, Any]]:
    for item in items:
        match item:
            case Told(text=text):
                yield {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
            case LoopReply(api="openai", native=native):
                yield from native
            case LoopReply():
                yield from _foreign(item)
            case LoopOutcome():
                yield {"type": "function_call_output", "call_id": item.id, "output": item.text}


def _foreign(reply: LoopReply) -> Iterator[dict[str, Any]]:
    """A reply that another API gave, before agents.yaml was changed."""
    if reply.text:
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        yield {"type": "message", "role": "assistant", "content": content}
    for call in reply.calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": _sound(call)}


def _sound(call: LoopCall) -> str:
    """Arguments as they may go back: some servers choke on what is not JSON. The outcome quotes it."""
    return call.arguments if read_arguments(call) is not None else "{}"


def _tool(tool: LoopTool) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", **described, "strict": False}
