"""Whatever bytes a program posts as a tool call, the answer is a result or an error of its own, never a 500."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.actions import ACTIONS, Action
from app.domain.errors import ActionRefused
from app.gateway.server import Gateway
from app.gateway.tool_body import MAX_DEPTH, trouble
from tests.gateway.conftest import Calls, MakeDoor

_CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"reply","arguments":%s}}'
_HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        _CALL % (b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        _CALL % (b'{"a":' * 150 + b"1" + b"}" * 150),
        _CALL % b'{"body":"\\ud800"}',
        _CALL % b'{"body":NaN}',
        _CALL % (b'{"body":' + b"9" * 10_000 + b"}"),
        _CALL % b'{"body":1e999}',
        _CALL % b'{"body":"a","body":"b"}',
        _CALL % b'{"sender":"user","hops":[]}',
        _CALL % b"[1]",
    ],
    ids=range(12),
)
async def test_hostile_bytes_get_an_answer(gateway: Gateway, door: MakeDoor, body: bytes) -> None:
    spec = door("bob")
    await gateway.open_door(spec)
    transport = httpx2.AsyncHTTPTransport(uds=str(spec.socket))
    async with httpx2.AsyncClient(transport=transport) as http:
        answer = await http.post("http://127.0.0.1:8080/mcp", content=body, headers=_HEADERS)
    assert answer.status_code < 500, answer.text[:300]
    assert isinstance(answer.json(), dict)


async def test_a_refusal_that_repeats_half_a_character_is_an_answer(
    gateway: Gateway, door: MakeDoor, calls: Calls
) -> None:
    spec = door("bob")
    await gateway.open_door(spec)
    calls.error = ActionRefused("no field \ud800\x1b[2J")
    transport = httpx2.AsyncHTTPTransport(uds=str(spec.socket))
    async with httpx2.AsyncClient(transport=transport) as http:
        answer = await http.post("http://127.0.0.1:8080/mcp", content=_CALL % b"{}", headers=_HEADERS)
    assert answer.json()["result"]["content"][0]["text"] == "no field \ufffd\ufffd[2J"


_TEXT = st.text(st.characters(), max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,  # NaN and Infinity too: Python writes them
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


async def test_any_json_as_arguments_gets_an_answer(gateway: Gateway, door: MakeDoor, calls: Calls) -> None:
    """What comes to the handler is an object; all else is refused by the server in words of its own."""
    spec = door("bob")
    await gateway.open_door(spec)
    loop = asyncio.get_running_loop()
    transport = httpx2.AsyncHTTPTransport(uds=str(spec.socket))
    async with httpx2.AsyncClient(transport=transport) as http:

        async def post(body: bytes) -> httpx2.Response:
            return await http.post("http://127.0.0.1:8080/mcp", content=body, headers=_HEADERS)

        @settings(max_examples=150, deadline=None, database=None)
        @given(st.sampled_from(ACTIONS), _JSON)
        def answered(action: type[Action], arguments: object) -> None:
            params = {"name": action.name, "arguments": arguments}
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = asyncio.run_coroutine_threadsafe(post(json.dumps(call).encode()), loop).result(30)
            assert answer.status_code < 500, answer.text[:300]
            told = answer.json()
            assert ("result" in told) != ("error" in told)

        await asyncio.to_thread(answered)
    assert all(isinstance(arguments, dict) for _, _, arguments, _ in calls.made)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (_CALL % b'{"body":"a","body":"b"}', "the key 'body' comes twice in one object"),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list"}', "the key 'method' comes twice"),
        (b"\xff\xfe", "the request is not UTF-8 (byte 0)"),
        (b'{"a":', "the request is not JSON: Expecting value at character 5"),
        (_CALL % b'{"body":NaN}', "NaN is no JSON number"),
        (_CALL % (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH), f"nested deeper than {MAX_DEPTH}"),
        (b"[" * 100_000, "the request is nested deeper than"),
        (_CALL % (b'{"body":' + b"9" * 10_000 + b"}"), "4300 digits"),
    ],
    ids=range(8),
)
async def test_what_is_no_call_is_refused_with_a_reason_and_heard_of(
    door: MakeDoor, calls: Calls, body: bytes, reason: str
) -> None:
    heard: list[tuple[str, str]] = []
    gateway = Gateway(calls, lambda usage: None, lambda key, why: heard.append((key, why)))
    spec = door("bob")
    try:
        await gateway.open_door(spec)
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(spec.socket))) as http:
            answer = await http.post("http://127.0.0.1:8080/mcp", content=body, headers=_HEADERS)
            large = await http.post("http://127.0.0.1:8080/mcp", content=b" " * 1_100_000, headers=_HEADERS)
    finally:
        await gateway.stop()
    assert answer.status_code == 400 and reason in answer.json()["error"]["message"]
    assert large.status_code == 413
    assert [key for key, _ in heard] == [spec.key, spec.key]
    assert reason in heard[0][1] and "more than 1048576 bytes" in heard[1][1]
    assert calls.made == []


@settings(max_examples=300, deadline=None, database=None)
@given(_JSON)
def test_what_python_reads_one_way_is_no_trouble(value: object) -> None:
    body = json.dumps(value).encode()
    assert trouble(body) == "" or any(word in body for word in (b"NaN", b"Infinity"))


@settings(max_examples=300, deadline=None, database=None)
@given(st.binary(max_size=60) | st.text('[]{}",:1eE+-.ntfu\\ ', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_in_words(body: bytes) -> None:
    assert isinstance(trouble(body), str)
