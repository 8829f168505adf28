"""The scripted model over the OpenAI Responses API: harnesses' requests in, events for the official SDK out."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from app.gateway.conversation import Call, Outcome, Prompt, Words
from app.gateway.door import ModelUsage
from app.gateway.responses_request import read_request
from app.gateway.server import Gateway
from tests.gateway.conftest import Client, MakeDoor
from tests.gateway.harness import TOOLS, Json, output, ran, request, user


def sdk(client: httpx2.AsyncClient) -> AsyncOpenAI:
    return AsyncOpenAI(base_url="http://gateway/openai/v1", api_key="none", http_client=client, max_retries=0)


async def test_the_official_sdk_reads_the_stream(
    gateway: Gateway, door: MakeDoor, client: Client, metered: list[ModelUsage]
) -> None:
    spec = door()
    await gateway.open_door(spec)
    openai = sdk(client(spec))
    asked: Any = [{"role": "user", "content": "Go."}]
    tools: Any = TOOLS
    async with openai.responses.stream(model="m", input=asked, tools=tools) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert {"response.output_text.delta", "response.function_call_arguments.done"} <= set(kinds)
    assert final.output_text == "I look around."
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    call = final.output[2].to_dict()
    assert (call["name"], call["call_id"]) == ("exec_command", "call_look_1_1")
    assert json.loads(str(call["arguments"]))["cmd"] == "ls"
    assert final.usage is not None and final.usage.output_tokens > 0
    assert [(use.provider, use.model, use.status, use.key) for use in metered] == [("rehearsal", "m", 200, "f/alice")]
    assert metered[0].input_tokens == final.usage.input_tokens


async def test_the_official_sdk_reads_the_whole(gateway: Gateway, door: MakeDoor, client: Client) -> None:
    spec = door("bob")
    await gateway.open_door(spec)
    openai = sdk(client(spec))
    asked: Any = TOOLS
    made = await openai.responses.create(model="m", input="Go.", tools=asked)
    assert made.output_text == "I am bob."
    assert [model.id async for model in openai.models.list()] == ["rehearsal"]


async def test_answers_depend_on_nothing_but_the_request(gateway: Gateway, door: MakeDoor, client: Client) -> None:
    spec = door()
    await gateway.open_door(spec)
    body = request(user("Go."))
    first, second = [(await client(spec).post("/openai/v1/responses", json=body)).json() for _ in range(2)]
    assert first | {"created_at": 0} == second | {"created_at": 0}


@pytest.mark.parametrize(
    ("prompt", "tools", "purpose"),
    [
        ("Go.", TOOLS, "turn"),
        ("Your task is to generate a very short title for a conversation.", TOOLS, "title"),
        ("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary.", TOOLS, "compaction"),
        ("Go.", [], "other"),
        ("Go.", [{"type": "web_search"}], "other"),
    ],
)
async def test_side_requests_are_no_step(
    gateway: Gateway, door: MakeDoor, client: Client, prompt: str, tools: list[Json], purpose: str
) -> None:
    body = request(user(prompt), tools=tools)
    assert read_request(body).purpose == purpose
    spec = door()
    await gateway.open_door(spec)
    reply = await client(spec).post("/openai/v1/responses", json=body)
    kinds = [item["type"] for item in reply.json()["output"]]
    assert ("function_call" in kinds) == (purpose == "turn")


def test_a_conversation_goes_on_after_compaction() -> None:
    summary = "Another model worked on this.\n[rehearsal] done: look, rest\n"
    assert read_request(request(user(summary))).conversation.items == (Prompt(summary),)


def test_a_warm_up_is_no_step() -> None:
    assert read_request(request(user("Go."), generate=False)).purpose == "other"


def test_the_standing_orders_are_no_prompt() -> None:
    orders = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "# AGENTS.md instructions\n"}],
    }
    developer = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be nice."}]}
    assert read_request(request(developer, orders, user("Go."))).conversation.items == (Prompt("Go."),)


CALL = {"type": "function_call", "call_id": "call_look_1_1", "name": "exec_command", "arguments": "{}"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (ran("hello\n", 3), Outcome("call_look_1_1", "hello\n", exit_status=3)),
        (ran("aborted\n", 0), Outcome("call_look_1_1", "aborted\n", exit_status=0)),
        (
            "Wall time: 0.1 seconds\naborted by user",
            Outcome("call_look_1_1", "Wall time: 0.1 seconds\naborted by user", interrupted=True),
        ),
        ("aborted", Outcome("call_look_1_1", "aborted", interrupted=True)),
        (
            "Chunk ID: 1\nWall time: 30 seconds\nProcess running with session ID 7\nOutput:\nhalf",
            Outcome("call_look_1_1", "half", session=7),
        ),
        ("Wall time: 0.1 seconds\nOutput:\ndone", Outcome("call_look_1_1", "done")),
        ('{"output":"x\\n","metadata":{"exit_code":1}}', Outcome("call_look_1_1", "x\n", exit_status=1)),
        ('{"output":"x', Outcome("call_look_1_1", '{"output":"x')),
        ("Process exited with code 0", Outcome("call_look_1_1", "Process exited with code 0")),
    ],
)
def test_outcomes_are_read(told: str, expected: Outcome) -> None:
    items = read_request(request(user("Go."), CALL, output(CALL, told))).conversation.items
    assert items == (Prompt("Go."), Call("call_look_1_1", "{}"), expected)


def test_outcomes_in_parts_are_read() -> None:
    parts = [{"type": "input_text", "text": "Wall time: 0.1 seconds\nOutput:"}, {"type": "input_text", "text": "no"}]
    items = read_request(
        request(CALL, {"type": "function_call_output", "call_id": "c", "output": parts})
    ).conversation.items
    assert items[1] == Outcome("c", "no")


def test_the_models_own_words_are_read() -> None:
    words = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
    assert read_request(request(words)).conversation.items == (Words("Hi"),)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("exec_command", {"cmd": "ls", "yield_time_ms": 30000}),
        ("shell_command", {"command": "ls", "timeout_ms": 600000}),
        ("shell", {"command": ["bash", "-lc", "ls"], "timeout_ms": 600000}),
    ],
)
async def test_commands_take_the_tool_that_is_offered(
    gateway: Gateway, door: MakeDoor, client: Client, tool: str, arguments: Json
) -> None:
    spec = door()
    await gateway.open_door(spec)
    body = request(user("Go."), tools=[{"type": "function", "name": tool}])
    reply = await client(spec).post("/openai/v1/responses", json=body)
    call = reply.json()["output"][-1]
    assert (call["name"], json.loads(call["arguments"])) == (tool, arguments)
