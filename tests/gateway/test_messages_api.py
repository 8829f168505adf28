"""The scripted model over the Anthropic Messages API: harnesses' requests in, events for the official SDK out."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic

from app.gateway.conversation import Call, Outcome, Prompt, Words
from app.gateway.door import ModelUsage
from app.gateway.messages_request import read_messages
from app.gateway.server import Gateway
from tests.gateway.conftest import Client, MakeDoor

TOOLS: list[dict[str, Any]] = [
    {"name": "Bash", "input_schema": {"type": "object"}},
    {"name": "mcp__skerry__memory_append", "input_schema": {"type": "object"}},
]


def sdk(client: httpx2.AsyncClient) -> AsyncAnthropic:
    return AsyncAnthropic(base_url="http://gateway/anthropic", api_key="none", http_client=client, max_retries=0)


def asked(*messages: dict[str, Any], tools: list[dict[str, Any]] | None = None) -> Any:
    return {"model": "m", "max_tokens": 1000, "messages": list(messages), "tools": TOOLS if tools is None else tools}


async def test_the_official_sdk_reads_the_stream(
    gateway: Gateway, door: MakeDoor, client: Client, metered: list[ModelUsage]
) -> None:
    spec = door()
    await gateway.open_door(spec)
    async with sdk(client(spec)).messages.stream(**asked({"role": "user", "content": "Go."})) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    thought, words, call = final.content
    assert thought.type == "thinking" and thought.thinking and thought.signature
    assert words.type == "text" and words.text == "I look around."
    assert call.type == "tool_use" and (call.name, call.id) == ("Bash", "call_look_1_1")
    assert call.input["command"] == "ls"
    assert final.stop_reason == "tool_use"
    assert [(use.provider, use.model, use.status) for use in metered] == [("rehearsal", "m", 200)]
    assert (metered[0].input_tokens, metered[0].output_tokens) == (
        final.usage.input_tokens,
        final.usage.output_tokens,
    )


async def test_the_official_sdk_reads_the_whole_and_goes_on(gateway: Gateway, door: MakeDoor, client: Client) -> None:
    spec = door("bob")
    await gateway.open_door(spec)
    claude = sdk(client(spec))
    made = await claude.messages.create(**asked({"role": "user", "content": "Go."}))
    assert [block.text for block in made.content if block.type == "text"] == ["I am bob."]
    assert made.stop_reason == "end_turn"
    assert [model.id async for model in claude.models.list()] == ["rehearsal"]
    counted = await claude.messages.count_tokens(model="m", messages=[{"role": "user", "content": "Go."}])
    assert counted.input_tokens > 0


async def test_what_it_does_not_speak_is_refused_in_the_apis_words(
    gateway: Gateway, door: MakeDoor, client: Client
) -> None:
    spec = door()
    await gateway.open_door(spec)
    http = client(spec)
    for path in ("complete", "files"):
        reply = await http.post(f"http://gateway/anthropic/v1/{path}", json={})
        assert reply.status_code == 404
        assert reply.json()["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError):
        await sdk(http).post("/v1/messages", cast_to=object, content=b"[]")


def test_what_claude_code_sends_is_read() -> None:
    read = read_messages(
        asked(
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "<system-reminder>\nToday is Monday.\n</system-reminder>"},
                    {"type": "text", "text": "Build it."},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                    {"type": "text", "text": "I build."},
                    {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "make"}},
                    {"type": "tool_use", "id": "c2", "name": "mcp__skerry__memory_append", "input": {"text": "n"}},
                    {"type": "tool_use", "id": "c3", "name": "Bash", "input": {"command": "false"}},
                    {"type": "tool_use", "id": "c4", "name": "Bash", "input": {"command": "sleep 9"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "made"},
                    {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "Noted."}]},
                    {"type": "tool_result", "tool_use_id": "c3", "content": "Exit code 3\nno", "is_error": True},
                    {
                        "type": "tool_result",
                        "tool_use_id": "c4",
                        "content": "The user doesn't want to proceed with this tool use.",
                        "is_error": True,
                    },
                    {"type": "text", "text": "[Request interrupted by user for tool use]"},
                ],
            },
        )
    )
    assert read.purpose == "turn"
    assert list(read.conversation.items) == [
        Prompt("Build it."),
        Words("I build."),
        Call("c1", json.dumps({"command": "make"})),
        Call("c2", json.dumps({"text": "n"})),
        Call("c3", json.dumps({"command": "false"})),
        Call("c4", json.dumps({"command": "sleep 9"})),
        Outcome("c1", "made", exit_status=0),
        Outcome("c2", "Noted."),
        Outcome("c3", "no", exit_status=3),
        Outcome("c4", "The user doesn't want to proceed with this tool use.", interrupted=True),
    ]


@pytest.mark.parametrize(
    ("text", "tools", "purpose"),
    [
        ("Write a title for this.", [], "other"),
        ("Your task is to create a detailed summary of the conversation so far.", TOOLS, "compaction"),
        ("Go.", TOOLS, "turn"),
    ],
)
def test_requests_beside_the_turn_are_told_apart(text: str, tools: list[dict[str, Any]], purpose: str) -> None:
    assert read_messages(asked({"role": "user", "content": text}, tools=tools)).purpose == purpose


@pytest.mark.parametrize(
    "hostile", [{}, {"messages": 7}, {"messages": [7, {"role": "user", "content": 3}], "tools": "x"}]
)
def test_nonsense_is_a_conversation_of_nothing(hostile: dict[str, Any]) -> None:
    read = read_messages(hostile)
    assert (read.conversation.items, read.purpose) == ((), "other")
