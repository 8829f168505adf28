"""Text that hides, reorders or breaks is refused; text of people's languages is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.envelope import Envelope, check_envelope
from app.domain.errors import ActionRefused
from app.domain.text import check_text, printable

_REGION = "\U0001f3f4" + "".join(chr(0xE0000 + ord(char)) for char in "gbeng") + "\U000e007f"


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31m",
        "\u202e",
        "\ud800",
        "\ufffe",
        "\U0010ffff",
        "\u2028",
        "\ufeff",
        "\U000e0041",
        "a" + "\u200b\u200c" * 4,
    ],
)
def test_hidden_text_is_refused(text: str) -> None:
    with pytest.raises(ActionRefused):
        check_text(text, what="the body", max_bytes=1000)


@pytest.mark.parametrize(
    "text", ["\u2764\ufe0f\u200d\U0001f525", "\u0915\u094d\u200d\u0937", "\u0645\u06cc\u200c\u0631", _REGION]
)
def test_languages_and_emoji_pass(text: str) -> None:
    assert check_text(text, what="the body", max_bytes=1000) == text
    assert printable(text) == text


@given(st.text(st.characters()))
def test_printable_text_can_always_be_stored(text: str) -> None:
    printable(text).encode("utf-8")


@pytest.mark.parametrize("data", [{"a": "\x1b"}, {"\u202e": 1}, {"a": [float("nan")]}, {"a": "x" * 70_000}])
def test_data_is_checked_too(data: dict[str, object]) -> None:
    values = {"id": "m-1", "sender": "a", "recipient": "b", "body": "x", "sent_at": datetime(2026, 1, 1, tzinfo=UTC)}
    with pytest.raises(ActionRefused):
        check_envelope(Envelope.model_validate(values | {"data": data}))
    sound = check_envelope(Envelope.model_validate(values | {"data": {"decision": "accept"}}))
    assert Envelope.model_validate_json(sound.model_dump_json()) == sound
