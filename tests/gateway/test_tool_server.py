"""The tools over MCP, with the official client through a door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp.client import Client as McpClient
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from app.domain.actions import ACTIONS
from app.domain.errors import ActionRefused
from app.domain.ports import ActionResult
from app.gateway.door import DoorSpec
from app.gateway.server import Gateway
from app.gateway.tool_server import call_id
from tests.gateway.conftest import Calls, MakeDoor


@asynccontextmanager
async def connected(spec: DoorSpec, mode: str) -> AsyncIterator[McpClient]:
    transport = httpx2.AsyncHTTPTransport(uds=str(spec.socket))
    async with httpx2.AsyncClient(transport=transport) as http:
        server = streamable_http_client("http://127.0.0.1:8080/mcp", http_client=http)
        async with McpClient(server, mode=mode) as client:
            yield client


def text(result: CallToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_client_lists_and_calls(gateway: Gateway, door: MakeDoor, calls: Calls, mode: str) -> None:
    spec = door("bob")
    await gateway.open_door(spec)
    calls.result = ActionResult("accepted m-000000000001")
    async with connected(spec, mode) as client:
        listed = (await client.list_tools()).tools
        result = await client.call_tool("send_message", {"recipient": "alice", "body": "héllo\n"})
    assert [tool.name for tool in listed] == [action.name for action in ACTIONS]
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in listed)
    assert (text(result), result.is_error) == ("accepted m-000000000001", False)
    assert calls.made[0][:3] == ("f/bob", "send_message", {"recipient": "alice", "body": "héllo\n"})


async def test_a_refusal_is_an_error_with_its_hint(gateway: Gateway, door: MakeDoor, calls: Calls) -> None:
    spec = door()
    await gateway.open_door(spec)
    calls.error = ActionRefused("bob is not listed", hint="recipients: carol")
    async with connected(spec, "legacy") as client:
        result = await client.call_tool("send_message", {"recipient": "bob", "body": "x"})
    assert (text(result), result.is_error) == ("bob is not listed (recipients: carol)", True)


async def test_a_result_may_be_an_error(gateway: Gateway, door: MakeDoor, calls: Calls) -> None:
    spec = door()
    await gateway.open_door(spec)
    calls.result = ActionResult("inbox full", ok=False)
    async with connected(spec, "legacy") as client:
        result = await client.call_tool("read_inbox", {})
    assert (text(result), result.is_error) == ("inbox full", True)


async def test_a_failure_inside_tells_nothing_of_the_inside(
    gateway: Gateway, door: MakeDoor, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    spec = door()
    await gateway.open_door(spec)
    calls.error = RuntimeError("secret detail")
    async with connected(spec, "legacy") as client:
        result = await client.call_tool("finish", {"summary": "x"})
    assert result.is_error
    assert "secret" not in text(result)
    assert "secret detail" in caplog.text


async def test_no_session_is_lost_when_the_engine_is_killed(door: MakeDoor, calls: Calls) -> None:
    spec = door()
    first = Gateway(calls, lambda usage: None)
    await first.open_door(spec)
    async with connected(spec, "legacy") as client:
        await client.call_tool("read_inbox", {})
        await first.stop()
        second = Gateway(calls, lambda usage: None)
        await second.open_door(spec)
        await client.call_tool("read_inbox", {})
    await second.stop()
    assert len(calls.made) == 2


def test_the_clients_own_call_id_is_used() -> None:
    assert call_id({"callId": "call_look_1_1"}) == "call_look_1_1"
    assert call_id({"claudecode/toolUseId": "toolu_1"}) == "toolu_1"
    odd = [call_id(meta) for meta in (None, {}, {"callId": 7}, {"callId": "x" * 999}, {"callId": "a\nb"})]
    assert len(set(odd)) == len(odd)
    assert all(len(made) == 32 for made in odd)
