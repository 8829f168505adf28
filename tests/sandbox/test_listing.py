from __future__ import annotations

import pytest

from app.domain.errors import SandboxError
from app.sandbox.listing import parse_listing

FILE = b"f 12 1700000000.1234567890 644"


def listing(*entries: tuple[bytes, bytes, bytes]) -> bytes:
    return b"".join(b"%s\0%s\0%s\0" % entry for entry in entries)


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
    assert [name for name, _ in refused] == ["./fifo", "./l", "./a\\x1b[2J"]
    assert all(reason for _, reason in refused)


@pytest.mark.parametrize("data", [b"f", b"x\0y\0", b"f 1 2 3\0./a\0\0", b"f 1 1.0000000000 644\0./a\0", b"\xff\0\0\0"])
def test_nonsense_is_an_error(data: bytes) -> None:
    with pytest.raises(SandboxError):
        parse_listing(data, 10)


def test_too_many_files_is_an_error() -> None:
    with pytest.raises(SandboxError, match="more than 2 files"):
        parse_listing(listing(*[(FILE, b"./%d" % n, b"") for n in range(3)]), 2)
