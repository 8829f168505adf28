from __future__ import annotations

import tracemalloc

import pytest

from app.domain.errors import SandboxError
from app.sandbox.listing import Entry, Listing
from app.sandbox.refusals import Refusals

FILE = b"f 12 1700000000.1234567890 644"


def listing(*entries: tuple[bytes, bytes, bytes]) -> bytes:
    return b"".join(b"%s\0%s\0%s\0" % entry for entry in entries)


def parse_listing(data: bytes, count_limit: int, step: int = 7) -> tuple[list[Entry], list[tuple[str, str]]]:
    """In pieces, as a channel gives them."""
    found, refusals = Listing(count_limit), Refusals()
    for start in range(0, len(data), step):
        found.take(data[start : start + step])
    return found.end(refusals), list(refusals.report())


def test_entries_are_read() -> None:
    entries, refused = parse_listing(
        listing(
            (FILE, b"./a b", b""), (b"d 4096 1.0000000000 755", b"./d", b""), (b"l 3 1.0000000000 777", b"./l", b"d")
        ),
        10,
    )
    assert [(e.parts, e.kind, e.target) for e in entries] == [
        (("a b",), "file", ""),
        (("d",), "folder", ""),
        (("l",), "link", "d"),
    ]
    assert entries[0].size == 12 and entries[0].mtime_ns == 1_700_000_000_123_456_789 and not refused


def test_what_may_not_come_out_is_refused_with_its_reason() -> None:
    _, refused = parse_listing(
        listing(
            (b"p 0 1.0000000000 644", b"./fifo", b""),
            (b"l 3 1.0000000000 777", b"./l", b"/etc/passwd"),
            (FILE, b"./a\x1b[2J", b""),
        ),
        10,
    )
    assert sorted(name for name, _ in refused) == ["./a\\x1b[2J", "./fifo", "./l"]
    assert all(reason for _, reason in refused)


@pytest.mark.parametrize("data", [b"f", b"x\0y\0", b"f 1 2 3\0./a\0\0", b"f 1 1.0000000000 644\0./a\0", b"\xff\0\0\0"])
def test_nonsense_is_an_error(data: bytes) -> None:
    with pytest.raises(SandboxError):
        parse_listing(data, 10)


def test_of_too_many_files_those_nearest_the_top_come_out() -> None:
    names = [b"./deep/er/%03d" % n for n in range(500)] + [b"./%03d" % n for n in range(20)] + [b"./deep"]
    found, refusals = Listing(10), Refusals()
    found.take(listing(*[(FILE, name, b"") for name in names]))
    entries = found.end(refusals)
    assert [entry.raw for entry in entries] == [b"./%03d" % n for n in range(10)], "whatever order they came in"
    assert found.dropped == len(names) - 10 and found.whole


def test_however_many_files_there_are_few_are_held() -> None:
    found, piece = (
        Listing(1000, 2**20),
        listing(*[(FILE, b"./some/folder/with/files/%06d" % n, b"") for n in range(5000)]),
    )
    tracemalloc.start()
    for _ in range(20):
        found.take(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kept = len(found.end(Refusals()))
    assert peak < 16 * 2**20 and (kept, found.dropped) == (1000, 99_000)


def test_very_long_names_are_held_in_bounds() -> None:
    found = Listing(50_000, 2**20)
    for n in range(2000):
        found.take(listing((FILE, b"./%06d" % n + b"x" * 60_000, b"y" * 60_000)))
    assert found.dropped > 1900
    with pytest.raises(SandboxError):
        found.take(b"z" * 200_000)


def test_a_list_that_does_not_end_is_cut_behind_its_last_whole_entry() -> None:
    found, refusals = Listing(10), Refusals()
    found.take(listing((FILE, b"./a", b"")) + FILE + b"\0./b")
    found.cut()
    assert [entry.raw for entry in found.end(refusals)] == [b"./a"] and not found.whole


def test_times_that_no_file_system_keeps() -> None:
    entries, _ = parse_listing(
        listing((b"f 1 999999999999.0000000000 644", b"./a", b""), (b"f 1 -999999999999.0000000000 644", b"./b", b"")),
        10,
    )
    assert [entry.mtime_ns for entry in entries] == [2**33 * 10**9, 0]


def test_special_bits_are_not_seen() -> None:
    entries, _ = parse_listing(
        listing((b"f 1 1.0000000000 6755", b"./a", b""), (b"f 1 1.0000000000 7644", b"./b", b"")), 9
    )
    assert [entry.executable for entry in entries] == [True, False]


@pytest.mark.parametrize("marks", [(b"objects", b"refs"), (b"commondir",)])
def test_a_folder_that_git_would_take_for_a_repository_is_none_outside(marks: tuple[bytes, ...]) -> None:
    names = [b"HEAD", b"config", b"hooks/post-checkout", *marks, b"README"]
    data = listing(*[(FILE, b"./sub/" + name, b"") for name in names], (FILE, b"./HEAD", b""), (FILE, b"./refs", b""))
    entries, refused = parse_listing(data, 100)
    assert {entry.raw for entry in entries} == {b"./sub/README", b"./HEAD", b"./refs"}
    assert {reason for _, reason in refused} == {"it would make its folder a git repository on this host"}


def test_refusals_are_counted_not_kept() -> None:
    refusals = Refusals(kept=2)
    for n in range(1_000):
        refusals.add(b"\x1b[2J%d" % n, "no")
    assert refusals.report() == (
        ("\\x1b[2J0", "no"),
        ("\\x1b[2J1", "no"),
        ("\N{HORIZONTAL ELLIPSIS}", "998 more were refused"),
    )
