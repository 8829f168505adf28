from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest

from app.domain.errors import SandboxError
from app.sandbox.tar_stream import read_members

LIMIT = 1_000_000


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def file(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), data


def odd(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, b""


def read(data: bytes, limit: int = LIMIT) -> list[tuple[bytes, bytes]]:
    source = io.BytesIO(data)
    # a channel gives what has arrived, not what was asked for
    members = read_members(lambda count: source.read(min(count, 700)), limit)
    return [(member.name, b"".join(member.pieces)) for member in members]


def test_files_come_out_whole() -> None:
    data = bytes(range(256)) * 10
    assert read(archive(file("a", data), file("b/c", b""), file("d"))) == [(b"a", data), (b"b/c", b""), (b"d", b"x")]


def test_long_names_are_read() -> None:
    name = "d/" * 100 + "file"
    assert read(archive(file(name), file("next"))) == [(name.encode(), b"x"), (b"next", b"x")]


def test_what_is_no_file_is_skipped() -> None:
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
    odds = [odd(f"o{number}", kind, "/etc/passwd") for number, kind in enumerate(kinds)]
    assert read(archive(*odds, file("good"))) == [(b"good", b"x")]


def test_pax_headers_are_not_followed() -> None:
    member, data = file("plain")
    member.pax_headers = {"path": "/etc/passwd"}
    names = [name for name, _ in read(archive((member, data), form=tarfile.PAX_FORMAT))]
    assert b"/etc/passwd" not in names


def test_members_left_unread_are_skipped() -> None:
    source = io.BytesIO(archive(file("a", b"1" * 5000), file("b", b"2")))
    assert [member.name for member in read_members(source.read, LIMIT)] == [b"a", b"b"]


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 700, 1024])
def test_a_stream_cut_short_is_an_error(cut: int) -> None:
    with pytest.raises(SandboxError):
        read(archive(file("a", b"1" * 1000))[:cut])


def test_nonsense_is_an_error() -> None:
    with pytest.raises(SandboxError):
        read(b"\xde\xad" * 4096)


def test_more_than_the_limit_is_an_error() -> None:
    with pytest.raises(SandboxError, match="more than is allowed"):
        read(archive(file("a", b"1" * 9000)), limit=4096)


def test_a_huge_claim_costs_nothing() -> None:
    member = tarfile.TarInfo("a")
    member.size = 2**40
    with pytest.raises(SandboxError, match="more than is allowed"):
        read(member.tobuf(tarfile.GNU_FORMAT))


def test_a_huge_name_is_an_error() -> None:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 100_000
    with pytest.raises(SandboxError, match="name is too long"):
        read(member.tobuf(tarfile.GNU_FORMAT) + b"n" * 100_352)


def header(name: str = "a", kind: bytes = tarfile.REGTYPE, size: bytes = b"00000000001\0") -> bytes:
    """A header with any bytes for its size, and the right sum."""
    member = tarfile.TarInfo(name)
    member.type = kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT)[:512])
    block[124:136] = size
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "size", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"\x80" + b"\0" * 5 + b"\x7f" * 6, b"-0000000001\0"]
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.GNUTYPE_SPARSE])
def test_sizes_that_no_file_has(size: bytes, kind: bytes) -> None:
    with pytest.raises(SandboxError):
        read(header(kind=kind, size=size) + b"x" * 2048)


@pytest.mark.parametrize(
    "block", [header(size=b"00000000000\0"), header("././@LongLink", tarfile.GNUTYPE_LONGNAME, b"00000000000\0"),
              header(kind=tarfile.XGLTYPE, size=b"00000000000\0"), header(size=b"00000001000\0") + b"x" * 512],
)  # fmt: skip
def test_a_stream_without_end_is_an_error(block: bytes) -> None:
    with pytest.raises(SandboxError, match="more than is allowed"):
        for member in read_members(endless(block), LIMIT):
            for _ in member.pieces:
                pass


def endless(block: bytes) -> Callable[[int], bytes]:
    source = b""

    def give(count: int) -> bytes:
        nonlocal source
        while len(source) < count:
            source += block
        data, source = source[:count], source[count:]
        return data

    return give


def test_gnu_sparse_and_pax_sizes_are_not_believed() -> None:
    member, data = file("sparse", b"x" * 10)
    member.pax_headers = {"GNU.sparse.realsize": str(2**60), "size": str(2**60), "GNU.sparse.major": "1"}
    found = read(archive((member, data), form=tarfile.PAX_FORMAT))
    assert sum(len(content) for _, content in found) < 2048


def test_what_is_compressed_is_not_unpacked() -> None:
    """A bomb stays the file it is."""
    bomb = gzip.compress(bytes(50_000_000))
    assert read(archive(file("bomb.gz", bomb))) == [(b"bomb.gz", bomb)]
    with pytest.raises(SandboxError):
        read(gzip.compress(archive(file("a"))))
