"""Agents whose model is asked over the Anthropic Messages API, streamed.

Format: https://docs.anthropic.com/en/api/messages; events: https://docs.anthropic.com/en/build-with-claude/streaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from anthropic import AsyncAnthropic

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
from app.runtimes.api_loop import PLACEHOLDER, SDK_RETRIES, TIMEOUT, ApiLoop, BrokenAnswer

API: Final = "anthropic"
MAX_TOKENS: Final = 16_000
"""Of one answer; what is longer goes on in the next."""
CACHED: Final = {"type": "ephemeral"}
_KEPT: Final = {
    "text": ("type", "text"),
    "tool_use": ("type", "id", "name", "input"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
}
_STOPS: Final[dict[str, Stop]] = {"max_tokens": "length", "refusal": "refusal", "pause_turn": "paused"}


class AnthropicLoop(ApiLoop):
    """The official SDK, through the agent's door."""

    name: ClassVar[str] = "the Anthropic API"
    default_model: ClassVar[str] = "claude-sonnet-5-5"

    def __init__(self) -> None:
        super().__init__()
        self._client: AsyncAnthropic | None = None

    async def close(self) -> None:
        """Drop connections. Safe to repeat."""
        await super().close()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _once(self, ask: ModelAsk, hear: Hear) -> LoopReply:
        request: dict[str, Any] = {
            "system": [{"type": "text", "text": self.system, "cache_control": CACHED}],
            "messages": _messages(ask.items),
            "tools": [_tool(tool) for tool in ask.tools],
        }
        if not ask.may_call:
            request["tool_choice"] = {"type": "none"}
        model = await self.model()
        stream: Any = await self._sdk().messages.create(model=model, max_tokens=MAX_TOKENS, stream=True, **request)
        answer = _Answer()
        async with stream:
            async for event in stream:
                await answer.take(event.to_dict(mode="json"), hear)
        return answer.reply(ask)

    async def _listed(self) -> Sequence[str]:
        return [model.id async for model in self._sdk().models.list()]

    def _sdk(self) -> AsyncAnthropic:
        if self._client is None:
            self._client = AsyncAnthropic(
                base_url="http://door/anthropic",
                api_key=PLACEHOLDER,
                http_client=self.door(),
                max_retries=SDK_RETRIES,
                timeout=TIMEOUT,
            )
        return self._client


@dataclass(slots=True)
class _Answer:
    """An answer as its events come. The SDK's own gathering gives up on arguments that are no JSON."""

    blocks: dict[int, dict[str, Any]] = field(default_factory=dict)
    arguments: dict[int, list[str]] = field(default_factory=dict)
    stop: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)

    async def take(self, event: dict[str, Any], hear: Hear) -> None:
        """The next event."""
        match event:
            case {"type": "message_start", "message": {"usage": usage}}:
                self.usage |= usage
            case {"type": "content_block_start", "index": index, "content_block": block}:
                self.blocks[index] = dict(block)
                if block.get("text"):
                    await hear(Said(block["text"]))
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                await self._more(index, delta, hear)
            case {"type": "message_delta", "delta": delta}:
                self.stop = delta.get("stop_reason") or self.stop
                self.usage |= {key: value for key, value in (event.get("usage") or {}).items() if value is not None}
            case _:
                pass

    async def _more(self, index: int, delta: dict[str, Any], hear: Hear) -> None:
        block = self.blocks.setdefault(index, {"type": "text", "text": ""})
        match delta:
            case {"type": "text_delta", "text": text}:
                block["text"] = block.get("text", "") + text
                await hear(Said(text))
            case {"type": "thinking_delta", "thinking": text}:
                block["thinking"] = block.get("thinking", "") + text
                await hear(Said(text, thought=True))
            case {"type": "signature_delta", "signature": signature}:
                block["signature"] = signature
            case {"type": "input_json_delta", "partial_json": text}:
                self.arguments.setdefault(index, []).append(text)
            case _:
                pass

    def reply(self, ask: ModelAsk) -> LoopReply:
        """The whole answer. Raises BrokenAnswer when it has no end, ContextOverflow when it was cut by that."""
        if self.stop is None:
            raise BrokenAnswer("the answer of the model had no end", operation="ask the model")
        if self.stop == "model_context_window_exceeded":
            raise ContextOverflow("the conversation fills the model's context window", operation="ask the model")
        calls: list[LoopCall] = []
        native: list[dict[str, Any]] = []
        for index, block in sorted(self.blocks.items()):
            given = {key: block[key] for key in _KEPT.get(block.get("type", ""), ()) if block.get(key) is not None}
            if block.get("type") == "tool_use":
                call = self._call(index, block, ask, len(calls) + 1)
                arguments = read_arguments(call)
                if arguments is None and self.stop == "max_tokens":
                    continue  # it was not whole
                calls.append(call)
                given |= {"id": call.id, "input": arguments or {}}
            if given and given.get("text") != "":  # an empty text is refused when it comes back
                native.append(given)
        texts = [block.get("text", "") for _, block in sorted(self.blocks.items()) if block.get("type") == "text"]
        return LoopReply(
            api=API,
            text="".join(texts),
            calls=tuple(calls),
            stop=_STOPS.get(self.stop, "tools" if calls else "end"),
            native=tuple(native),
            input_tokens=sum(self.usage.get(key) or 0 for key in _GIVEN),
            output_tokens=self.usage.get("output_tokens") or 0,
        )

    def _call(self, index: int, block: dict[str, Any], ask: ModelAsk, number: int) -> LoopCall:
        text = "".join(self.arguments.get(index, ())) or "{}"
        return LoopCall(id=own_id(block.get("id"), ask, number), name=str(block.get("name", "")), arguments=text)


_GIVEN: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _messages(items: Sequence[LoopItem]) -> list[dict[str, Any]]:
    """Messages of changing roles; the last block is marked: up to there the provider keeps what it has read."""
    messages: list[dict[str, Any]] = []
    for role, block in _blocks(items):
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].append(block)
        else:
            messages.append({"role": role, "content": [block]})
    if messages:
        content = messages[-1]["content"]
        content[-1] = content[-1] | {"cache_control": CACHED}
    return messages


def _blocks(items: Sequence[LoopItem]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in items:
        match item:
            case Told(text=text):
                yield "user", {"type": "text", "text": text}
            case LoopReply(api="anthropic", native=native):
                yield from (("assistant", block) for block in native)
            case LoopReply():
                if item.text:
                    yield "assistant", {"type": "text", "text": item.text}
                for call in item.calls:
                    use = {"id": call.id, "name": call.name, "input": read_arguments(call) or {}}
                    yield "assistant", {"type": "tool_use", **use}
            case LoopOutcome():
                result = {"tool_use_id": item.id, "content": item.text, "is_error": not item.ok}
                yield "user", {"type": "tool_result", **result}


def _tool(tool: LoopTool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
