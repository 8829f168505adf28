"""Doors: who is behind them, how they open, change and close, and what a guest is told."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import httpx2
import pytest

from app.domain.errors import ConfigError, GatewayError
from app.gateway.door import DoorSpec, ModelUsage, Provider, Rehearsal
from app.gateway.replies import MAX_BODY_BYTES, MAX_TOOL_BODY_BYTES
from app.gateway.server import Gateway
from tests.gateway.conftest import Calls, Client, MakeDoor
from tests.gateway.harness import Json, request, user


def tool_call(name: str, **arguments: object) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


MCP = {"accept": "application/json, text/event-stream"}


async def said(client: httpx2.AsyncClient) -> str:
    reply = await client.post("/openai/v1/responses", json=request(user("Go.")))
    assert reply.status_code == 200
    return "".join(part["text"] for item in reply.json()["output"] for part in item.get("content", []))


async def test_the_door_is_the_identity(gateway: Gateway, door: MakeDoor, client: Client, calls: Calls) -> None:
    alice, bob = door("alice"), door("bob")
    await gateway.open_door(alice)
    async with asyncio.TaskGroup() as group:  # one opens while the other serves
        first = group.create_task(said(client(alice)))
        group.create_task(gateway.open_door(bob))
    assert first.result() == "I look around."
    assert await said(client(bob)) == "I am bob."
    lie = {"x-agent": "f/bob", "authorization": "Bearer f/bob", "skerry.door": "f/bob"}
    await client(alice).post("/mcp?key=f/bob", json=tool_call("memory_read", key="f/bob"), headers=MCP | lie)
    assert [call[0] for call in calls.made] == ["f/alice"]


async def test_sockets_are_private_and_go_with_the_door(gateway: Gateway, door: MakeDoor) -> None:
    spec = door()
    await gateway.open_door(spec)
    assert stat.S_IMODE(spec.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(spec.socket.parent.stat().st_mode) == 0o700
    assert list(spec.socket.parent.iterdir()) == [spec.socket]
    await gateway.close_door(spec.key)
    await gateway.close_door(spec.key)
    assert not spec.socket.exists()
    assert gateway.doors == ()


async def test_what_a_killed_engine_left_is_replaced(gateway: Gateway, door: MakeDoor, client: Client) -> None:
    spec = door()
    spec.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(spec.socket))
        await gateway.open_door(spec)
        assert await said(client(spec)) == "I look around."


async def test_opening_again_changes_nothing_or_the_upstream(gateway: Gateway, door: MakeDoor, client: Client) -> None:
    spec = door()
    await gateway.open_door(spec)
    inode = spec.socket.stat().st_ino
    connected = client(spec)
    await said(connected)
    await gateway.open_door(spec)
    await gateway.open_door(door(upstream=Provider("local", "anthropic", "http://127.0.0.1:9")))
    assert spec.socket.stat().st_ino == inode
    reply = await connected.post("/openai/v1/responses", json=request(user("Go.")))
    assert reply.status_code == 404
    assert "anthropic" in reply.json()["error"]["message"]


async def test_a_door_whose_socket_is_gone_is_opened_again(gateway: Gateway, door: MakeDoor, client: Client) -> None:
    spec = door()
    await gateway.open_door(spec)
    spec.socket.unlink()
    await gateway.open_door(spec)
    assert await said(client(spec)) == "I look around."


async def test_doors_that_cannot_be(gateway: Gateway, door: MakeDoor, tmp_path: Path, scenario: Path) -> None:
    with pytest.raises(ConfigError, match=r"no part for carol.*alice, bob"):
        await gateway.open_door(door("carol"))
    with pytest.raises(ConfigError, match="cannot be read"):
        await gateway.open_door(door(upstream=Rehearsal(tmp_path / "none.yaml")))
    with pytest.raises(GatewayError, match="too long"):
        await gateway.open_door(DoorSpec("k", "f", "r", "alice", tmp_path / ("x" * 120), Rehearsal(scenario)))
    taken = tmp_path / "s" / "x.s"
    taken.parent.mkdir()
    taken.write_text("precious")
    with pytest.raises(GatewayError, match="something else"):
        await gateway.open_door(DoorSpec("k", "f", "r", "alice", taken, Rehearsal(scenario)))
    assert taken.read_text() == "precious"
    assert gateway.doors == ()


NOT_SERVED = [
    ("GET", "/", 404),
    ("GET", "/openai/v1/files", 404),
    ("POST", "/openai/v1/%2e%2e/%2e%2e/mcp", 404),
    ("POST", "/openai/v1//responses", 404),
    ("DELETE", "/openai/v1/responses", 405),
    ("POST", "/anthropic/v1/complete", 404),
    ("GET", "/mcp", 405),
    ("DELETE", "/mcp", 405),
    ("GET", "/mcp/", 404),
]


async def test_what_is_not_served_is_said_in_words(gateway: Gateway, door: MakeDoor, subtests: pytest.Subtests) -> None:
    spec = door()
    await gateway.open_door(spec)
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(spec.socket))) as raw:
        for method, path, status in NOT_SERVED:
            with subtests.test(method=method, path=path):
                url = httpx2.URL("http://gateway", raw_path=path.encode())
                reply = await raw.send(httpx2.Request(method, url))
                assert reply.status_code == status
                assert reply.json()["error"]["message"]
                assert "Traceback" not in reply.text


ODD = [b"", b"[]", b"{", b"null", b'{"input": 7, "tools": "x"}', b'{"input": [[], {"type": 3}, null]}', b"[" * 100_000]


async def test_odd_requests_get_an_answer(
    gateway: Gateway, door: MakeDoor, client: Client, subtests: pytest.Subtests
) -> None:
    spec = door()
    await gateway.open_door(spec)
    for body in ODD:
        for path in ("/openai/v1/responses", "/mcp"):
            with subtests.test(body=body[:40], path=path):
                reply = await client(spec).post(path, content=body, headers=MCP | {"content-type": "application/json"})
                assert reply.status_code in (200, 400)
                assert "Traceback" not in reply.text


@pytest.mark.parametrize(("path", "limit"), [("/openai/v1/responses", MAX_BODY_BYTES), ("/mcp", MAX_TOOL_BODY_BYTES)])
async def test_too_much_is_refused(gateway: Gateway, door: MakeDoor, client: Client, path: str, limit: int) -> None:
    spec = door()
    await gateway.open_door(spec)
    reply = await client(spec).post(path, content=b" " * (limit + 1), headers=MCP)
    assert reply.status_code == 413
    assert str(limit) in reply.json()["error"]["message"]


async def test_a_broken_meter_does_not_reach_the_guest(calls: Calls, door: MakeDoor, client: Client) -> None:
    def meter(usage: ModelUsage) -> None:
        raise OSError("disk full")

    gateway = Gateway(calls, meter)
    spec = door()
    await gateway.open_door(spec)
    assert await said(client(spec)) == "I look around."
    await gateway.stop()


async def test_stop_lets_running_calls_end(door: MakeDoor, client: Client) -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    class Slow(Calls):
        async def __call__(self, key: str, name: str, arguments: object, call_id: str):  # type: ignore[no-untyped-def]
            begun.set()
            await asyncio.sleep(0.3)
            done.set()
            return await super().__call__(key, name, arguments, call_id)

    gateway = Gateway(Slow(), lambda usage: None)
    spec = door()
    await gateway.open_door(spec)
    running = asyncio.create_task(client(spec).post("/mcp", json=tool_call("memory_read"), headers=MCP))
    await begun.wait()
    await gateway.stop()
    await gateway.stop()
    assert done.is_set()
    assert (await running).status_code == 200
    assert not spec.socket.exists()


async def test_one_guest_cannot_take_all_connections(gateway: Gateway, door: MakeDoor, client: Client) -> None:
    alice, bob = door("alice"), door("bob")
    await gateway.open_door(alice)
    await gateway.open_door(bob)
    held = [await asyncio.open_unix_connection(os.fspath(alice.socket)) for _ in range(40)]
    reply = await client(alice).post("/openai/v1/responses", json=request(user("Go.")))
    assert reply.status_code == 503
    assert await said(client(bob)) == "I am bob."
    for _, writer in held:
        writer.close()
