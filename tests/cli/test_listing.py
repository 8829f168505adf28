"""Listings at any width: what matters is never cut or wrapped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from app.cli.listing import Column, Row, listing, wrapped
from app.cli.output import plain, plain_line

COLUMNS = (Column("ID"), Column("STATE"), Column("SENT", optional=True))
ROWS = [
    Row(("m-1", "read", "12:00:00"), Text("Please test duration.py, and tell me what fails")),
    Row(("m-22", "delivered", "12:00:09"), Text("Short"), (Text("more"),)),
]


def lines(width: int | None, **options: bool) -> list[str]:
    return [line.plain for line in listing(COLUMNS, ROWS, width=width, title="SUBJECT", **options)]


def test_in_a_file_every_row_is_one_whole_line() -> None:
    assert lines(None) == [
        "ID    STATE      SENT      SUBJECT",
        "m-1   read       12:00:00  Please test duration.py, and tell me what fails",
        "m-22  delivered  12:00:09  Short",
    ]


def test_words_lose_their_end_in_a_terminal() -> None:
    assert lines(66)[1] == "m-1   read       12:00:00  Please test duration.py, and tell me wh…"[:65] + "…"


def test_without_room_words_go_below_and_optional_columns_go() -> None:
    assert lines(30) == [
        "ID    STATE      SENT",
        "m-1   read       12:00:00",
        "  Please test duration.py, and",
        "  tell me what fails",
        "m-22  delivered  12:00:09",
        "  Short",
        "  more",
    ]
    assert lines(20)[0] == "ID    STATE"


def test_below_is_for_terminals_only() -> None:
    assert lines(200, below=True)[1:3] == ["m-1   read       12:00:00", "  " + ROWS[0].words.plain]
    assert len(lines(None, below=True)) == 3


def test_nothing_to_list_is_nothing() -> None:
    assert list(listing(COLUMNS, [], width=80)) == []


def test_wide_characters_count_twice() -> None:
    rows = [Row(("猫猫", "a"), Text("x")), Row(("dog", "b"), Text("y"))]
    found = [line.plain for line in listing(COLUMNS[:2], rows, width=None)]
    assert found == ["ID    STATE", "猫猫  a      x", "dog   b      y"]


@given(st.text(max_size=300), st.integers(min_value=25, max_value=120))
def test_wrapped_lines_fit_and_lose_no_word(text: str, width: int) -> None:
    text = plain(text).expandtabs()
    found = wrapped(Text(text), width, indent="  ")
    assert all(line.cell_len <= width for line in found)
    assert "".join("".join(line.plain.split()) for line in found) == "".join(text.split())


def test_what_goes_on_keeps_its_margin() -> None:
    found = wrapped(Text("│   some code that is long enough to be folded"), 28)
    assert [line.plain for line in found] == ["│   some code that is long", "│   enough to be folded"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("10%\r50%\r100%\nnext\r\n", "100%\nnext\n"),
        ("\x9b2Jcleared", "\ufffd2Jcleared"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\x1b[2", "\ufffd[2"),
    ],
)
def test_text_of_agents_is_harmless(raw: str, shown: str) -> None:
    assert plain(raw) == shown


def test_a_line_is_one_line() -> None:
    assert plain_line("\n\n  first \nsecond") == "first"
    assert plain_line("x" * 200, 10) == "x" * 9 + "…"
