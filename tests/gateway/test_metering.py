"""Tokens are read out of what providers send, however it is cut into pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.metering import UsageReader

ANTHROPIC = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":'
    b'{"input_tokens":10,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":1}}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":42}}\n\n'
)
CHAT = (
    b'data: {"choices":[]}\r\n\r\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":5}}\r\n\r\ndata: [DONE]\r\n\r\n'
)
RESPONSES = b'data: {"type":"response.completed","response":{"usage":{"input_tokens":6,"output_tokens":7}}}'


def read(data: bytes, size: int, *, stream: bool = True) -> tuple[int, int]:
    reader = UsageReader(stream=stream)
    for begin in range(0, len(data), size):
        reader.feed(data[begin : begin + size])
    reader.end()
    return reader.tokens


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize(("data", "tokens"), [(ANTHROPIC, (15, 42)), (CHAT, (4, 5)), (RESPONSES, (6, 7))])
def test_streams(data: bytes, tokens: tuple[int, int], size: int) -> None:
    assert read(data, size) == tokens


@pytest.mark.parametrize(
    ("data", "cache"),
    [
        (ANTHROPIC, (3, 2)),
        (RESPONSES, (0, 0)),
        (
            b'data: {"response":{"usage":{"input_tokens":9,"output_tokens":7,"input_tokens_details":'
            b'{"cached_tokens":4,"cache_write_tokens":1}}}}',
            (4, 1),
        ),
        (b'data: {"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":5}}}', (5, 0)),
        (b'data: {"usage":{"prompt_tokens":9,"prompt_tokens_details":[1]}}', (0, 0)),
    ],
)
def test_what_came_from_the_cache_and_went_into_it(data: bytes, cache: tuple[int, int]) -> None:
    reader = UsageReader(stream=True)
    reader.feed(data)
    reader.end()
    assert reader.cache == cache


def test_whole_answers() -> None:
    assert read(json.dumps({"usage": {"input_tokens": 1, "output_tokens": 2}}).encode(), 5, stream=False) == (1, 2)


def test_an_event_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.gateway.metering.MAX_EVENT_BYTES", 100)
    long = b'data: {"usage":{"input_tokens":9}, "x":"' + b"y" * 1000 + b'"}\n\n'
    assert read(long + RESPONSES, 50) == (6, 7)


@given(st.binary(max_size=200), st.integers(1, 20), st.booleans())
def test_nothing_a_provider_sends_breaks_it(data: bytes, size: int, stream: bool) -> None:
    given_tokens, made = read(b'data: {"usage":' + data, size, stream=stream)
    assert given_tokens >= 0 and made >= 0


@pytest.mark.parametrize(
    "usage", ['{"input_tokens": true}', '{"input_tokens": -5}', '{"input_tokens": "7"}', "[]", "3", "null"]
)
def test_odd_numbers_count_nothing(usage: str) -> None:
    assert read(f'data: {{"usage": {usage}}}\n'.encode(), 10) == (0, 0)
