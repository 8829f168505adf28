"""The scripted model over Chat Completions: the official SDK's requests in, chunks or the whole out."""

from __future__ import annotations

from typing import Any

import httpx2
from openai import AsyncOpenAI

from app.gateway.chat_request import read_chat
from app.gateway.conversation import Call, Outcome, Prompt, Words
from app.gateway.door import ModelUsage
from app.gateway.server import Gateway
from tests.gateway.conftest import Client, MakeDoor

TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("run_command", "memory_append")
]
GO: list[Any] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Go."}]


def sdk(client: httpx2.AsyncClient) -> AsyncOpenAI:
    return AsyncOpenAI(base_url="http://gateway/openai/v1", api_key="none", http_client=client, max_retries=0)


async def test_the_official_sdk_reads_the_stream(
    gateway: Gateway, door: MakeDoor, client: Client, metered: list[ModelUsage]
) -> None:
    spec = door()
    await gateway.open_door(spec)
    asking = sdk(client(spec)).chat.completions
    stream = await asking.create(
        model="m", messages=GO, tools=TOOLS, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    words = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert words == "I look around."
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert (calls[0].id, calls[0].function and calls[0].function.name) == ("call_look_1_1", "run_command")
    assert "".join((call.function and call.function.arguments) or "" for call in calls) == '{"command": "ls"}'
    assert chunks[-2].choices[0].finish_reason == "tool_calls"
    usage = chunks[-1].usage
    assert usage is not None and (usage.prompt_tokens, usage.completion_tokens) == (
        metered[0].input_tokens,
        metered[0].output_tokens,
    )


async def test_the_official_sdk_reads_the_whole(gateway: Gateway, door: MakeDoor, client: Client) -> None:
    spec = door("bob")
    await gateway.open_door(spec)
    made = await sdk(client(spec)).chat.completions.create(model="m", messages=GO, tools=TOOLS)
    assert made.choices[0].message.content == "I am bob."
    assert made.choices[0].finish_reason == "stop"


def test_a_conversation_is_read() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "run_command", "arguments": "{}"}}
    messages = [
        *GO,
        {"role": "assistant", "content": None, "tool_calls": [call, 7]},
        {"role": "tool", "tool_call_id": "c1", "content": "Exit code: 3\nOutput:\nno"},
        {"role": "tool", "tool_call_id": "c2", "content": "[skerry] interrupted: …"},
        {"role": "assistant", "content": [{"type": "text", "text": "So."}]},
        "nonsense",
    ]
    asked = read_chat({"model": "m", "messages": messages, "tools": TOOLS})
    assert asked.conversation.items == (
        Prompt("Go."),
        Call("c1", "{}"),
        Outcome("c1", "no", exit_status=3),
        Outcome("c2", "[skerry] interrupted: …", interrupted=True),
        Words("So."),
    )
    assert asked.purpose == "turn" and asked.conversation.toolbox.tools == {"memory_append": ("memory_append", None)}
    assert read_chat({"messages": 1, "tools": {"a": 1}}).purpose == "other"
