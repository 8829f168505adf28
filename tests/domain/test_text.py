from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ActionRefused
from app.domain.text import check_text, first_line, printable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\x1b[31mred", r"forbidden character U\+001B at 1"),
        ("a\x00", r"U\+0000 at 1"),
        ("x\u202egnp.exe", r"U\+202E at 1"),
        ("\x9b2J", r"U\+009B at 0"),
        ("line\r\n", r"U\+000D at 4"),
        ("\ud800", "not valid Unicode at character 0"),
        ("ä" * 51, "the body has 102 bytes, 100 are allowed"),
    ],
)
def test_what_could_deceive_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ActionRefused, match=words):
        check_text(text, what="the body", max_bytes=100)


@pytest.mark.parametrize("text", ["", "Grüße\n\tan 日本語 🙂", "a" * 100])
def test_plain_text_passes_unchanged(text: str) -> None:
    assert check_text(text, what="the body", max_bytes=100) == text


@given(st.text())
def test_printable_is_always_harmless_and_as_long(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    clean = shown.encode("utf-8", "ignore").decode()
    assert check_text(clean, what="text", max_bytes=1_000_000) == clean


def test_first_line_says_where_it_was_cut() -> None:
    assert first_line("\n\n  hello  \nworld") == "hello"
    assert first_line("x" * 200, 10) == "xxxxxxxxx…"
    assert first_line("   \n") == ""
