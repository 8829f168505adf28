"""The workspace of a machine and its mirror on this host: pushed in at the start, changed files brought out.

Everything blocks. What comes out is treated as hostile; ``.git`` stays in (see ``tree.safe_parts``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import HostError, SandboxError
from app.domain.machines import MirrorReport
from app.sandbox.archive import folder_content, write_archive
from app.sandbox.jobs import Job, Jobs
from app.sandbox.listing import FIND, Entry, Listing
from app.sandbox.manifest import OTHER, SAME_TIME_NS, Look, Manifest
from app.sandbox.refusals import Refusals
from app.sandbox.tar_stream import Member, read_members
from app.sandbox.transfer import Transfer
from app.sandbox.tree import Parts, Refused, Tree

_WANTED = "/run/skerry/wanted"
_TAR_OUT = (
    "tar --create --format=gnu --blocking-factor=128 --no-recursion --hard-dereference "
    "--ignore-failed-read --null --verbatim-files-from "
    f"--files-from={_WANTED} --file=- 2>/dev/null"
)
_TAR_IN = "tar --extract --blocking-factor=128 --no-same-owner --keep-newer-files --warning=none --file=-"
_HEADERS = 4096  # of a tar stream, for one file


@dataclass(frozen=True, slots=True)
class MirrorLimits:
    """What a workspace may bring out: entries, bytes of one file, at one time, and of all files together.

    Its list of files is read for so many bytes and seconds.
    """

    files: int = 50_000
    file_bytes: int = 64 * 2**20
    total_bytes: int = 2**30
    mirror_bytes: int = 4 * 2**30 - 2**26
    listing_bytes: int = 128 * 2**20
    listing_seconds: float = 120.0


class Workspace:
    """``manifests`` is a folder that remembers what was brought out: only that is ever replaced or removed."""

    def __init__(self, jobs: Jobs, transfer: Transfer, manifests: Path, limits: MirrorLimits | None = None) -> None:
        self._jobs, self._transfer, self._manifests = jobs, transfer, manifests
        self._limits = limits or MirrorLimits()

    def push(self, source: Path) -> int:
        """Copy a folder in; a file that is newer in the machine stays. Returns the number of files.

        Raises SandboxError, and ConfigError for a folder that cannot be copied.
        """
        content = folder_content(source)
        size = sum(_HEADERS + packed.found.st_size for packed in content)
        pushed = self._transfer.send(_TAR_IN, size, lambda file: write_archive(content, file))
        looks = {packed.name: [_look(packed.found)] for packed in pushed}
        Manifest(self._manifests, source).keep(looks)
        return sum(not stat.S_ISDIR(packed.found.st_mode) for packed in pushed)

    def mirror(self, destination: Path) -> MirrorReport:
        """Bring changed files out, remove those that vanished. Raises SandboxError."""
        refusals, manifest = Refusals(), Manifest(self._manifests, destination)
        listing = self._list()
        entries = listing.end(refusals)
        complete = self._tell_of_the_rest(listing, refusals)
        tree = Tree(destination, manifest.is_ours)
        removed = _remove_vanished(tree, manifest, entries) if complete else 0
        placed = [entry for entry in entries if _place(tree, entry, refusals)]
        stale = {entry.parts for entry in placed if entry.kind == "file" and _changed(tree, entry)}
        changed = self._within_limits(placed, stale, refusals)
        known = _known(manifest, placed, stale - {entry.parts for entry in changed}, complete)
        fetched: dict[str, Look] = {}
        if changed:
            # What a crash leaves half done is known as ours, whether old or new.
            manifest.keep({path: [*looks, *manifest.look(path)] for path, looks in known.items()})
            try:
                self._fetch(tree, changed, fetched, refusals)
            finally:
                manifest.keep({**known, **{path: [look] for path, look in fetched.items()}})
        else:
            manifest.keep(known)
        return MirrorReport(len(fetched), sum(size for size, _ in fetched.values()), removed, refusals.report())

    def _list(self) -> Listing:
        limits = self._limits
        listing, left = Listing(limits.files), limits.listing_bytes
        deadline = time.monotonic() + limits.listing_seconds

        def take(_: str, piece: bytes) -> None:
            nonlocal left
            left -= len(piece)
            if left < 0 or time.monotonic() > deadline:
                raise _Enough
            listing.take(piece)

        started = self._jobs.start(Job(f"{FIND} 2>/dev/null", user="root"))
        try:
            ended = self._jobs.collect(started, take, limits.listing_seconds, threading.Event())
            if ended.timed_out:
                listing.cut()
        except _Enough:
            listing.cut()
            with contextlib.suppress(SandboxError):
                self._jobs.kill(started.name, 0.5)
        return listing

    def _tell_of_the_rest(self, listing: Listing, refusals: Refusals) -> bool:
        """Whether the list was complete: else nothing that is not on it can be taken for vanished."""
        if not listing.whole:
            refusals.add(b".", "the list of files is too long; what it began with was brought out")
        elif listing.dropped:
            reason = f"{listing.dropped} files are more than the {self._limits.files} that may come out"
            refusals.add(b".", f"{reason}; those nearest the top were brought out")
        return listing.whole and not listing.dropped

    def _within_limits(self, entries: list[Entry], stale: set[Parts], refusals: Refusals) -> list[Entry]:
        """Those of the ``stale`` files that may come out now."""
        limits, kept, total, all_of_it = self._limits, [], 0, 0
        for entry in entries:
            if entry.kind != "file":
                continue
            changed = entry.parts in stale
            if entry.size > limits.file_bytes:
                refusals.add(entry.raw, f"larger than {limits.file_bytes} bytes")
            elif all_of_it + entry.size > limits.mirror_bytes:
                refusals.add(entry.raw, f"the workspace has more than {limits.mirror_bytes} bytes")
            elif changed and total + entry.size > limits.total_bytes:
                refusals.add(entry.raw, f"more than {limits.total_bytes} bytes at one time; the next mirror brings it")
                all_of_it += entry.size
            else:
                all_of_it += entry.size
                if changed:
                    kept.append(entry)
                    total += entry.size
        return kept

    def _fetch(self, tree: Tree, changed: list[Entry], fetched: dict[str, Look], refusals: Refusals) -> None:
        """Adds to ``fetched`` what has come out, also when the rest fails. Raises SandboxError."""
        wanted = {entry.raw: entry for entry in changed}
        self._jobs.feed(Job(f"cat > {_WANTED}", cwd="/", user="root"), b"".join(raw + b"\0" for raw in wanted))
        limit = sum(entry.size for entry in changed) + 2**20 + _HEADERS * len(changed)
        with self._transfer.receive(_TAR_OUT, limit - 2**20) as read:
            for member in read_members(read, limit):
                entry = wanted.pop(member.name, None)
                if entry is None or member.size > self._limits.file_bytes:
                    refusals.add(member.name, "not what was asked for")
                elif _write(tree, entry, member, refusals):
                    fetched["/".join(entry.parts)] = (member.size, entry.mtime_ns)
        for raw in wanted:
            refusals.add(raw, "it vanished, or could not be read, when it was to come out")


class _Enough(Exception):
    """No more of the list is wanted."""


def _place(tree: Tree, entry: Entry, refusals: Refusals) -> bool:
    """Folders and links need no bytes from the machine."""
    try:
        if entry.kind == "folder":
            tree.folder(entry.parts)
        elif entry.kind == "link" and tree.readlink(entry.parts) != entry.target:
            tree.link(entry.parts, entry.target)
    except (OSError, Refused) as error:
        refusals.add(entry.raw, _reason(error))
        return False
    return True


def _write(tree: Tree, entry: Entry, member: Member, refusals: Refusals) -> bool:
    try:
        tree.write(entry.parts, member.pieces, entry.executable, entry.mtime_ns)
    except (OSError, Refused) as error:
        refusals.add(entry.raw, _reason(error))
        return False
    return True


def _remove_vanished(tree: Tree, manifest: Manifest, entries: list[Entry]) -> int:
    here = {"/".join(entry.parts) for entry in entries}
    gone = [path for path in manifest.paths if path not in here]
    return sum(tree.remove(tuple(path.split("/"))) for path in sorted(gone, key=len, reverse=True))


def _known(manifest: Manifest, placed: list[Entry], staying: set[Parts], complete: bool) -> dict[str, list[Look]]:
    """What is ours when all but the ``staying`` files are out; without a complete list what was ours remains so."""
    known: dict[str, list[Look]] = {} if complete else {path: manifest.look(path) for path in manifest.paths}
    for entry in placed:
        path = "/".join(entry.parts)
        if entry.parts not in staying:
            known[path] = [(entry.size, entry.mtime_ns) if entry.kind == "file" else OTHER]
        elif looks := manifest.look(path):
            known[path] = looks
    return known


def _reason(error: OSError | Refused) -> str:
    """Raises HostError for a full disk: that is no fault of the file."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise HostError("the disk is full", operation="mirror workspace", hint="free disk space") from error
    return str(error.strerror) if isinstance(error, OSError) else str(error)


def _changed(tree: Tree, entry: Entry) -> bool:
    found = tree.lstat(entry.parts)
    return (
        found is None
        or not stat.S_ISREG(found.st_mode)
        or found.st_size != entry.size
        or abs(found.st_mtime_ns - entry.mtime_ns) > SAME_TIME_NS
        or bool(found.st_mode & 0o100) != entry.executable
    )


def _look(found: os.stat_result) -> Look:
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else OTHER
