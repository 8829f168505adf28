"""The list of files a machine gives of its workspace, parsed strictly and kept within bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from app.domain.errors import SandboxError
from app.sandbox.refusals import Refusals
from app.sandbox.tree import Parts, Refused, safe_parts, safe_target

FIND = r"find . -mindepth 1 \( -name .git -o -path ./.inbox \) -prune -o -printf '%y %s %T@ %m\0%p\0%l\0'"
"""Run in the workspace; git's own files stay in the machine, and so does what messages brought."""

_STAT = re.compile(rb"([a-zA-Z?]) (\d{1,15}) (-?\d{1,12})\.(\d{9})\d* ([0-7]{1,5})")
_STAT_BYTES = 64
_FIELD_BYTES = 65536
_KINDS: dict[bytes, Literal["file", "folder", "link"]] = {b"f": "file", b"d": "folder", b"l": "link"}
_LATEST_SECOND = 2**33  # the year 2242: what a file system of this host can keep
_GITS_OWN = {"HEAD", "config", "hooks", "objects", "refs", "commondir"}


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


@dataclass(frozen=True, slots=True)
class _Record:
    stat: bytes
    raw: bytes
    target: bytes

    def order(self) -> tuple[int, bytes]:
        """What lies near the top comes first: a project's own files before what its tools unpacked."""
        return self.raw.count(b"/"), self.raw

    @property
    def size(self) -> int:
        return len(self.raw) + len(self.target) + 200


class Listing:
    """Takes the list piece by piece and keeps the first ``count_limit`` entries of a stable order.

    However long the list is, no more than ``memory_limit`` bytes of it are held for long.
    """

    def __init__(self, count_limit: int, memory_limit: int = 64 * 2**20) -> None:
        self._count_limit, self._memory_limit = count_limit, memory_limit
        self._records: list[_Record] = []
        self._fields: list[bytes] = []
        self._rest = b""
        self._held = 0
        self.dropped = 0
        """Entries that are beyond the limit."""
        self.whole = True
        """False when the list had no end that we waited for."""

    def take(self, piece: bytes) -> None:
        """Raises SandboxError when it makes no sense."""
        fields = (self._rest + piece).split(b"\0")
        self._rest = fields.pop()
        if len(self._rest) > _FIELD_BYTES:
            raise _broken()
        self._fields += fields
        whole = len(self._fields) // 3 * 3
        for start in range(0, whole, 3):
            self._add(_Record(*self._fields[start : start + 3]))
        del self._fields[:whole]

    def cut(self) -> None:
        """The list goes on and we do not listen any more."""
        self._rest, self.whole = b"", False
        self._fields.clear()

    def end(self, refusals: Refusals) -> list[Entry]:
        """What may come out; what may not is added to ``refusals``. Raises SandboxError when it makes no sense."""
        if self._rest or self._fields:
            raise _broken()
        self._shrink()
        entries: list[Entry] = []
        for record in self._records:
            try:
                entries.append(_entry(record))
            except Refused as reason:
                refusals.add(record.raw, str(reason))
        self._records.clear()
        return _without_repositories(entries, refusals)

    def _add(self, record: _Record) -> None:
        if len(record.stat) > _STAT_BYTES or len(record.raw) > _FIELD_BYTES or len(record.target) > _FIELD_BYTES:
            raise _broken()
        self._records.append(record)
        self._held += record.size
        if len(self._records) > 2 * self._count_limit or self._held > 2 * self._memory_limit:
            self._shrink()

    def _shrink(self) -> None:
        self._records.sort(key=_Record.order)
        while len(self._records) > self._count_limit or self._held > self._memory_limit:
            self._held -= self._records.pop().size
            self.dropped += 1


def _entry(record: _Record) -> Entry:
    found = _STAT.fullmatch(record.stat)
    if found is None:
        raise _broken()
    kind = _KINDS.get(found[1])
    if kind is None:
        raise Refused("neither a file nor a folder nor a link")
    parts = safe_parts(record.raw)
    mtime_ns = min(max(int(found[3]), 0), _LATEST_SECOND) * 10**9 + int(found[4])
    where = safe_target(parts, record.target) if kind == "link" else ""
    return Entry(parts, record.raw, kind, int(found[2]), mtime_ns, bool(int(found[5], 8) & 0o100), where)


def _without_repositories(entries: list[Entry], refusals: Refusals) -> list[Entry]:
    """Git takes a folder for a repository by what is in it, whatever its name.

    Its settings would name programs that run at the user's next git command there.
    """
    inside: dict[Parts, set[str]] = {}
    for entry in entries:
        if entry.parts[-1] in _GITS_OWN:
            inside.setdefault(entry.parts[:-1], set()).add(entry.parts[-1])
    bad = {
        folder
        for folder, names in inside.items()
        if {"HEAD", "objects", "refs"} <= names or {"HEAD", "commondir"} <= names
    }
    if not bad:
        return entries
    kept: list[Entry] = []
    for entry in entries:
        if any(entry.parts[:end] in bad and entry.parts[end] in _GITS_OWN for end in range(len(entry.parts))):
            refusals.add(entry.raw, "it would make its folder a git repository on this host")
        else:
            kept.append(entry)
    return kept


def _broken() -> SandboxError:
    return SandboxError("the machine's list of files is broken", operation="mirror workspace")
