"""Reading a tar stream that a hostile machine made: GNU format, header by header, with a limit on everything.

The standard library's reader follows extension headers of any size into memory; this one knows regular files and
long names, and refuses or skips the rest.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.domain.errors import SandboxError

_BLOCK = 512
_PIECE = 65536
_LONG_NAME_LIMIT = 8192
Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file; ``pieces`` must be used up, or left alone, before the next member is asked for."""

    name: bytes
    size: int
    pieces: Iterator[bytes]


def read_members(read: Read, size_limit: int) -> Iterator[Member]:
    """Regular files of the stream; everything else is skipped.

    Raises SandboxError when the stream is no tar, is cut short, or holds more than ``size_limit`` bytes.
    """
    exact, long_name = _Exact(read, size_limit), None
    while (header := _header(exact.take(_BLOCK))) is not None:
        if header.type == tarfile.GNUTYPE_LONGNAME:
            if header.size > _LONG_NAME_LIMIT:
                raise _broken("a name is too long")
            long_name = exact.take(_padded(header.size))[: header.size].rstrip(b"\0")
            continue
        remaining = exact.remaining - header.size
        if remaining < 0:
            raise _broken("it holds more than is allowed")
        pieces = exact.pieces(header.size)
        if header.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            name = long_name if long_name is not None else header.name.encode("utf-8", "surrogateescape")
            yield Member(name, header.size, pieces)
        for _ in pieces:
            pass
        exact.take(_padded(header.size) - header.size)
        long_name = None


def _header(block: bytes) -> tarfile.TarInfo | None:
    if not any(block):
        return None  # the end of the archive
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise _broken(str(error)) from error
    if header.size < 0:
        raise _broken("a size is negative")
    return header


class _Exact:
    """Reads exactly what is asked for, and no more than the limit in all."""

    def __init__(self, read: Read, limit: int) -> None:
        self._read, self.remaining = read, limit

    def take(self, count: int) -> bytes:
        return b"".join(self.pieces(count))

    def pieces(self, count: int) -> Iterator[bytes]:
        while count:
            data = self._read(min(count, _PIECE))
            if not data:
                raise _broken("it ends too early")
            self.remaining -= len(data)
            if self.remaining < 0:
                raise _broken("it holds more than is allowed")
            count -= len(data)
            yield data


def _padded(size: int) -> int:
    return size + -size % _BLOCK


def _broken(reason: str) -> SandboxError:
    return SandboxError(f"the machine's archive cannot be used: {reason}", operation="mirror workspace")
