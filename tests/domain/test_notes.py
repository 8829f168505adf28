from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ActionRefused
from app.domain.notes import (
    Notes,
    append_note,
    find_section,
    has_open_fence,
    heading_name,
    replace_section,
    section_lines,
    sections,
)

LINES = st.lists(
    st.sampled_from(["", "# One", "## Two", "### Three", "```", "~~~ x", "text", "#no", "  ## In  ##", "\r"])
)


@given(st.binary(max_size=60) | st.text("ab\r\n#\ufeff", max_size=40).map(str.encode))
def test_bytes_survive(data: bytes) -> None:
    assert Notes.parse(data).dump() == data


@given(LINES)
def test_sections_are_all_lines_in_order(lines: list[str]) -> None:
    found = sections(lines)
    assert [line for item in found for line in lines[item.start : item.end]] == lines
    assert all(item.level for item in found[1:])


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("# One", "One"),
        ("   ### One ###  ", "One"),
        ("## C#", "C#"),
        ("##\tTab", "Tab"),
        ("#", ""),
        ("## ##", ""),
        ("# a # b", "a # b"),
        ("    # code", None),
        ("#no", None),
        ("####### seven", None),
    ],
)
def test_headings_are_those_of_commonmark(line: str, name: str | None) -> None:
    assert [item.heading for item in sections([line]) if item.level] == ([] if name is None else [name])


def test_a_mark_in_a_block_is_no_heading() -> None:
    lines = ["# One", "```sh", "# comment", "````", "~~~", "# two", "```", "## Four", "~~~", "# Five"]
    assert [item.heading for item in sections(lines)] == ["One", "Five"]
    assert sections(["```", "# One"])[-1].heading == "One", "one that is never closed hides nothing"
    assert has_open_fence("a\n```\nb")
    assert not has_open_fence("a\n```\nb\n```")


@given(LINES, st.sampled_from(["One", "Two", "Three", "New"]), st.sampled_from(["note", "a note\n\nof lines"]))
def test_a_note_changes_nothing_else(lines: list[str], heading: str, note: str) -> None:
    after = append_note(lines, heading, note)
    rest = iter(after)
    assert all(line in rest for line in lines if line.strip()), "all lines are there, in their order"
    assert note in "\n".join(after)
    if not any(line.startswith(("```", "~~~")) for line in lines):
        assert note in "\n".join(section_lines(after, heading))


@given(LINES, st.sampled_from(["One", "Two", "Three"]))
def test_a_section_that_is_replaced_takes_no_other_with_it(lines: list[str], heading: str) -> None:
    found = find_section(lines, heading)
    after = replace_section(lines, heading, "new")
    assert "new" in after
    if found is not None:
        assert after[: found.start + 1] == lines[: found.start + 1]
        assert replace_section(after, heading, "")[: found.start] == lines[: found.start]


def test_deeper_headings_belong_to_a_section_but_not_to_the_title() -> None:
    lines = ["# Title", "intro", "## A", "a", "### A.1", "x", "## B", "b"]
    assert replace_section(lines, "A", "new") == ["# Title", "intro", "## A", "", "new", "", "## B", "b"]
    assert replace_section(lines, "Title", "new") == ["# Title", "", "new", "", *lines[2:]]
    assert append_note(lines, "A", "y") == ["# Title", "intro", "## A", "a", "y", "", *lines[4:]]


@pytest.mark.parametrize(
    ("given", "name"), [("## Two ##", "Two"), ("C#", "C#"), (" x ", "x"), ("../../etc", "../../etc")]
)
def test_a_name_is_found_again(given: str, name: str) -> None:
    assert heading_name(given) == name
    assert append_note(append_note([], name, "one"), heading_name(given), "two") == [f"## {name}", "", "one", "two"]


@pytest.mark.parametrize("given", ["", "#", " ## ", "a\nb"])
def test_no_name_is_refused(given: str) -> None:
    with pytest.raises(ActionRefused):
        heading_name(given)


@pytest.mark.parametrize(
    "line", ["# " + " " * 500_000 + "x", "`" * 500_000 + "x`", "#" * 500_000, "```" + " " * 500_000]
)
def test_hostile_lines_take_no_time(line: str) -> None:
    began = time.monotonic()
    sections([line] * 3)
    sections(["```"] * 30_001)
    sections([f"``` {number}" for number in range(30_000)])
    assert time.monotonic() - began < 20, "quadratic would be hours"
