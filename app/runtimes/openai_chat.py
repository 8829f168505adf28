"""One model call over OpenAI's Chat Completions, streamed: what Ollama, llama.cpp, vLLM and the like speak.

Format: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from openai import AsyncOpenAI

from app.domain.loops import (
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
from app.runtimes.api_loop import BrokenAnswer

API: Final = "openai-chat"


async def ask_chat(client: AsyncOpenAI, model: str, system: str, ask: ModelAsk, hear: Hear) -> LoopReply:
    """The model's reply. Raises the SDK's errors and BrokenAnswer."""
    request: dict[str, Any] = {
        "messages": [{"role": "system", "content": system}, *_messages(ask.items)],
        "tools": [_tool(tool) for tool in ask.tools],
        "stream_options": {"include_usage": True},
    }
    if not ask.may_call:
        request["tool_choice"] = "none"
    stream: Any = await client.chat.completions.create(model=model, stream=True, **request)
    answer = _Answer()
    async with stream:
        async for chunk in stream:
            await answer.take(chunk.to_dict(mode="json"), hear)
    return answer.reply(ask)


@dataclass(slots=True)
class _Answer:
    """An answer as its pieces come."""

    text: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    finish: str | None = None
    refused: bool = False
    usage: dict[str, Any] = field(default_factory=dict)

    async def take(self, chunk: dict[str, Any], hear: Hear) -> None:
        """The next piece."""
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or []:
            self.finish = choice.get("finish_reason") or self.finish
            delta = choice.get("delta") or {}
            # Servers of reasoning models call their thoughts by either name.
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(thought, str) and thought:
                await hear(Said(thought, thought=True))
            self.refused = self.refused or bool(delta.get("refusal"))
            words = delta.get("content") or delta.get("refusal")
            if words:
                self.text.append(words)
                await hear(Said(words))
            for place, call in enumerate(delta.get("tool_calls") or []):
                self._called(call.get("index", place), call)

    def _called(self, index: int, piece: dict[str, Any]) -> None:
        call = self.calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        given = piece.get("function") or {}
        call["id"] = piece.get("id") or call["id"]
        call["name"] = given.get("name") or call["name"]
        call["arguments"] += given.get("arguments") or ""

    def reply(self, ask: ModelAsk) -> LoopReply:
        """The whole answer. Raises BrokenAnswer when it has no end."""
        if self.finish is None:
            raise BrokenAnswer("the answer of the model had no end", operation="ask the model")
        cut = self.finish == "length"
        calls: list[LoopCall] = []
        for piece in self.calls.values():
            call = LoopCall(id="", name=piece["name"], arguments=piece["arguments"] or "{}")
            if not cut or read_arguments(call) is not None:
                calls.append(call.model_copy(update={"id": own_id(piece["id"], ask, len(calls) + 1)}))
        refused = self.refused or self.finish == "content_filter"
        stop: Stop = "length" if cut else "tools" if calls else "refusal" if refused else "end"
        return LoopReply(
            api=API,
            text="".join(self.text),
            calls=tuple(calls),
            stop=stop,
            input_tokens=self.usage.get("prompt_tokens") or 0,
            output_tokens=self.usage.get("completion_tokens") or 0,
        )


def _messages(items: Sequence[LoopItem]) -> Iterator[dict[str, Any]]:
    for item in items:
        match item:
            case Told(text=text):
                yield {"role": "user", "content": text}
            case LoopReply(text="", calls=()):
                pass  # some servers refuse a message without anything in it
            case LoopReply():
                calls = [_call(call) for call in item.calls]
                yield {"role": "assistant", "content": item.text or None} | ({"tool_calls": calls} if calls else {})
            case LoopOutcome():
                yield {"role": "tool", "tool_call_id": item.id, "content": item.text}


def _call(call: LoopCall) -> dict[str, Any]:
    arguments = call.arguments if read_arguments(call) is not None else "{}"
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tool(tool: LoopTool) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": described}
