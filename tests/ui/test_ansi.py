"""Terminal output loses what could steer, and keeps its colours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ui.console.ansi import PLAIN, AnsiParser, Run, Sgr


def plain(text: str) -> str:
    return "".join(run.text for run in AnsiParser().feed(text))


@pytest.mark.parametrize(
    ("codes", "look"),
    [
        ("31", Sgr(ink=1)),
        ("1;92", Sgr(ink=10, bold=True)),
        ("44", Sgr(ground=4)),
        ("103", Sgr(ground=11)),
        ("38;5;196", Sgr(ink="#ff0000")),
        ("38;5;3", Sgr(ink=3)),
        ("48;5;244", Sgr(ground="#808080")),
        ("38;2;1;2;255", Sgr(ink="#0102ff")),
        ("38:2:1:2:255", Sgr(ink="#0102ff")),
        ("7;4;3;2", Sgr(inverse=True, underline=True, italic=True, faint=True)),
        ("31;39", PLAIN),
        ("", PLAIN),
        ("38;5", PLAIN),
    ],
)
def test_looks(codes: str, look: Sgr) -> None:
    assert AnsiParser().feed(f"\x1b[{codes}mx") == [Run("x", look)]


def test_a_look_lasts_until_it_is_reset() -> None:
    parser = AnsiParser()
    assert parser.feed("\x1b[32ma") == [Run("a", Sgr(ink=2))]
    assert parser.feed("b\x1b[0mc") == [Run("b", Sgr(ink=2)), Run("c", PLAIN)]


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2J",
        "\x1b[10;20H",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1b[?25l",
        "\x1b(B",
        "\x1bM",
        "\x1bPdata\x1b\\",
    ],
)
def test_other_sequences_are_taken_out_even_when_cut_in_two(sequence: str) -> None:
    assert plain(f"a{sequence}b") == "ab"
    for cut in range(1, len(sequence)):
        parser = AnsiParser()
        runs = parser.feed("a" + sequence[:cut]) + parser.feed(sequence[cut:] + "b")
        assert "".join(run.text for run in runs) == "ab", cut


def test_carriage_returns_write_over_the_line() -> None:
    assert plain("one\r\ntwo\r\n") == "one\ntwo\n"
    assert [run.text for run in AnsiParser().feed("10%\r20%\r30%")] == ["10%", "\r20%", "\r30%"]
    parser = AnsiParser()
    assert [run.text for run in parser.feed("a\r") + parser.feed("\nb")] == ["a", "\nb"]


def test_backspaces_take_back() -> None:
    assert plain("abc\x08d") == "abd"
    assert plain("a word") == "a word"


@given(st.text(), st.integers(0, 40))
def test_nothing_that_steers_comes_through(text: str, cut: int) -> None:
    parser = AnsiParser()
    shown = "".join(run.text.removeprefix("\r") for run in parser.feed(text[:cut]) + parser.feed(text[cut:]))
    assert not {char for char in shown if (ord(char) < 32 and char not in "\n\t") or char in "\x7f\u202e\u2066"}
