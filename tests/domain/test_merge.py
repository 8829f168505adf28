from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from app.domain.merge import MARK, base_of, matches, merge, seen_revision

LINES = st.lists(st.integers(0, 12).map(lambda number: f"line number {number}"), max_size=12)
UNIQUE = st.lists(st.integers(0, 30).map(lambda number: f"line number {number}"), max_size=12, unique=True)


@given(LINES, LINES)
def test_who_changed_nothing_gets_what_the_other_wrote(base: list[str], other: list[str]) -> None:
    assert list(merge(base, other, base).lines) == other
    assert list(merge(base, base, other).lines) == other
    assert merge(base, other, other).conflicts == ()
    assert list(merge(base, other, other).lines) == other


@given(LINES, LINES)
def test_matches_are_equal_lines_in_the_same_order(one: list[str], other: list[str]) -> None:
    found = sorted(matches(one, other).items())
    assert all(one[i] == other[k] for i, k in found)
    assert [k for _, k in found] == sorted({k for _, k in found})


@given(UNIQUE, UNIQUE, UNIQUE)
def test_no_added_line_is_lost(base: list[str], ours: list[str], theirs: list[str]) -> None:
    merged = merge(base, ours, theirs)
    assert {*ours, *theirs} - {*base} <= set(merged.lines)
    assert {*base} & {*ours} & {*theirs} <= set(merged.lines), "what both kept is there, wherever they moved it"
    assert set(merged.lines) <= {*base, *ours, *theirs, MARK}


@given(UNIQUE, st.data())
def test_a_line_that_one_deletes_is_gone_when_the_other_only_adds(base: list[str], data: st.DataObject) -> None:
    kept = [line for line in base if data.draw(st.booleans())]
    ours = [*base, "what the agent adds"]
    merged = merge(base, ours, kept)
    assert list(merged.lines) == [*kept, "what the agent adds"]
    assert merged.conflicts == ()


def test_both_rewrite_the_same_line() -> None:
    merged = merge(["a", "old", "b"], ["a", "ours", "b"], ["a", "theirs", "b"])
    assert merged.lines == ("a", "theirs", MARK, "ours", "b")
    assert [(item.ours, item.theirs) for item in merged.conflicts] == [(("ours",), ("theirs",))]


def test_both_add_at_the_same_place() -> None:
    merged = merge(["a"], ["a", "ours", "both"], ["a", "theirs", "both"])
    assert merged.lines == ("a", "theirs", "both", "ours")
    assert merged.conflicts == ()


def test_many_lines_take_no_time() -> None:
    lines = [f"line {number}" for number in range(20_000)]
    shuffled = random.Random(1).sample(lines, len(lines))
    began = time.monotonic()
    for ours, theirs in ((shuffled, lines[::-1]), (["a"] * 50_000, ["a", "b"] * 20_000)):
        merge(lines, ours, theirs)
    assert time.monotonic() - began < 30, "quadratic would be hours"


SAVED = ["the first line", "the second line"]
NOTED = [*SAVED, "a note of the agent"]
NOTED_MORE = [*NOTED, "another of the agent"]


def test_what_a_person_can_have_seen() -> None:
    known = [SAVED, NOTED, NOTED_MORE]
    assert seen_revision(known, ["the first line"]) == 0, "no sign of a note: the notes may be unseen"
    assert seen_revision(known, [*SAVED, "words of the user"]) == 0
    assert seen_revision(known, ["a note of the agent"]) == 1
    assert seen_revision(known, ["another of the agent"]) == 2
    assert seen_revision(known, NOTED) == 2, "nobody saves an unchanged text: the newer was there and its note deleted"
    assert seen_revision(known, SAVED) == 1
    assert seen_revision([SAVED], ["other"]) == 0
    assert seen_revision(known, [*SAVED, "a note of the agent, mended"]) == 1
    assert seen_revision(known, ["the first line, mended", "the second line"]) == 0


def test_what_both_made_of_one_line_proves_nothing() -> None:
    known = [["ship it on Monday"], ["ship it on Tuesday"]]
    assert seen_revision(known, ["ship it on Friday"]) == 0


def test_only_what_both_have_can_have_been_deleted_when_one_took_the_others_place() -> None:
    saved, instead = ["the first line", "the user's line"], ["the first line", "ok"]
    known = [saved, instead, ["the first line", "ok", "the user's line"]]
    assert base_of(known, ["the first line", "one more"], displaced=True) == ["the first line"]
    assert base_of(known, ["the first line", "one more"], displaced=False) == saved
    assert base_of(known, ["one more", "the user's line"], displaced=True) == saved
    assert base_of([saved, ["the first line", "a note of alice"]], ["a note of alice"], displaced=True)[-1] != saved[-1]
