"""The list of files a machine gives of its workspace, parsed strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from app.domain.errors import SandboxError
from app.sandbox.tree import Parts, Refused, safe_parts, safe_target

FIND = r"find . -mindepth 1 -name .git -prune -o -printf '%y %s %T@ %m\0%p\0%l\0'"
"""Run in the workspace; git's own files stay in the machine."""

_STAT = re.compile(rb"([a-zA-Z?]) (\d{1,15}) (-?\d{1,12})\.(\d{9})\d* ([0-7]{1,5})")
_KINDS: dict[bytes, Literal["file", "folder", "link"]] = {b"f": "file", b"d": "folder", b"l": "link"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link; ``raw`` is its name as the machine wrote it."""

    parts: Parts
    raw: bytes
    kind: Literal["file", "folder", "link"]
    size: int
    mtime_ns: int
    executable: bool
    target: str


def parse_listing(data: bytes, count_limit: int) -> tuple[list[Entry], list[tuple[str, str]]]:
    """(what may come out, what is refused and why). Raises SandboxError when the list makes no sense."""
    fields = data.split(b"\0")
    if len(fields) % 3 != 1 or fields[-1]:
        raise SandboxError("the machine's list of files is broken", operation="mirror workspace")
    if len(fields) // 3 > count_limit:
        raise SandboxError(f"the workspace has more than {count_limit} files", operation="mirror workspace")
    entries: list[Entry] = []
    refused: list[tuple[str, str]] = []
    for stat, raw, target in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        try:
            entries.append(_entry(stat, raw, target))
        except Refused as reason:
            refused.append((printable(raw), str(reason)))
    return entries, refused


def printable(raw: bytes) -> str:
    """A hostile name for a report: shortened, without control characters."""
    text = raw[:200].decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def _entry(stat: bytes, raw: bytes, target: bytes) -> Entry:
    found = _STAT.fullmatch(stat)
    if found is None:
        raise SandboxError("the machine's list of files is broken", operation="mirror workspace")
    kind = _KINDS.get(found[1])
    if kind is None:
        raise Refused("neither a file nor a folder nor a link")
    parts = safe_parts(raw)
    mtime_ns = int(found[3]) * 10**9 + int(found[4])
    where = safe_target(parts, target) if kind == "link" else ""
    return Entry(parts, raw, kind, int(found[2]), mtime_ns, bool(int(found[5], 8) & 0o100), where)
