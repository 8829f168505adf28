"""The workspace of a machine and its mirror on this host: pushed in at the start, changed files brought out.

Everything blocks. What comes out is treated as hostile; ``.git`` stays in (see ``tree.safe_parts``).
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import stat
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import paramiko

from app.domain.errors import HostError, SandboxError
from app.domain.ports import MirrorReport
from app.sandbox.jobs import Job, Jobs, channel_errors
from app.sandbox.listing import FIND, Entry, parse_listing, printable
from app.sandbox.ssh_io import end_input, receive, send
from app.sandbox.tar_stream import read_members
from app.sandbox.tree import Parts, Refused, Tree

_WANTED = "/run/skerry/wanted"
_TAR_OUT = (
    "tar --create --format=gnu --no-recursion --hard-dereference --ignore-failed-read --null --verbatim-files-from "
    f"--files-from={_WANTED} --file=- 2>/dev/null"
)
_TAR_IN = "tar --extract --no-same-owner --keep-newer-files --warning=none --file=-"
_SECONDS = 600.0
_SAME_TIME_NS = 2000
"""Two times this near are the same: archives keep them as floating point."""


@dataclass(frozen=True, slots=True)
class MirrorLimits:
    """What a workspace may bring out: entries, bytes of one file, bytes at one time, bytes of the list of files."""

    files: int = 50_000
    file_bytes: int = 64 * 2**20
    total_bytes: int = 2**30
    listing_bytes: int = 16 * 2**20


class Workspace:
    """``manifest`` remembers what was brought out: only that is ever removed from a mirror."""

    def __init__(self, jobs: Jobs, manifest: Path, limits: MirrorLimits | None = None) -> None:
        self._jobs, self._manifest, self._limits = jobs, manifest, limits or MirrorLimits()

    def push(self, source: Path) -> int:
        """Copy a folder in; a file that is newer in the machine stays. Returns the number of files."""
        started = self._jobs.start(Job(_TAR_IN))
        output = bytearray()
        with channel_errors("push the workspace"):
            started.channel.settimeout(_SECONDS)
            with io.BufferedWriter(_ChannelFile(started.channel), 2**18) as file:
                pushed = _write_archive(source, file)
            end_input(started.channel)
        ended = self._jobs.collect(started, lambda _, piece: output.extend(piece), _SECONDS, threading.Event())
        if ended.status != 0:
            words = output.decode("utf-8", "replace").strip()[-500:]
            raise SandboxError(f"the workspace could not be copied in: {words}", operation="push the workspace")
        self._remember(source, pushed)
        return sum(not (source / name).is_dir() or (source / name).is_symlink() for name in pushed)

    def mirror(self, destination: Path) -> MirrorReport:
        """Bring changed files out, remove those that vanished. Raises SandboxError."""
        entries, refused = parse_listing(self._listing(), self._limits.files)
        tree = Tree(destination)
        removed = self._remove_vanished(tree, destination, entries)
        for entry in entries:
            self._place(tree, entry, refused)
        changed = self._within_limits([e for e in entries if _changed(tree, e)], refused)
        files, size = self._fetch(tree, changed, refused) if changed else (0, 0)
        self._remember(destination, ["/".join(entry.parts) for entry in entries])
        return MirrorReport(files, size, removed, tuple(refused))

    def _listing(self) -> bytes:
        listing, limit = bytearray(), self._limits.listing_bytes

        def take(_: str, piece: bytes) -> None:
            listing.extend(piece)
            if len(listing) > limit:
                raise SandboxError("the workspace has too many files to list", operation="mirror workspace")

        started = self._jobs.start(Job(f"{FIND} 2>/dev/null", user="root"))
        self._jobs.collect(started, take, _SECONDS, threading.Event())
        return bytes(listing)

    def _place(self, tree: Tree, entry: Entry, refused: list[tuple[str, str]]) -> None:
        """Folders and links need no bytes from the machine."""
        try:
            if entry.kind == "folder":
                tree.folder(entry.parts)
            elif entry.kind == "link" and tree.readlink(entry.parts) != entry.target:
                tree.link(entry.parts, entry.target)
        except (OSError, Refused) as error:
            refused.append((printable(entry.raw), _reason(error)))

    def _within_limits(self, changed: list[Entry], refused: list[tuple[str, str]]) -> list[Entry]:
        kept, total = [], 0
        for entry in changed:
            if entry.size > self._limits.file_bytes:
                refused.append((printable(entry.raw), f"larger than {self._limits.file_bytes} bytes"))
            elif total + entry.size > self._limits.total_bytes:
                refused.append((printable(entry.raw), f"more than {self._limits.total_bytes} bytes at one time"))
            else:
                kept.append(entry)
                total += entry.size
        return kept

    def _fetch(self, tree: Tree, changed: list[Entry], refused: list[tuple[str, str]]) -> tuple[int, int]:
        wanted = {entry.raw: entry for entry in changed}
        self._jobs.feed(Job(f"cat > {_WANTED}", cwd="/", user="root"), b"".join(raw + b"\0" for raw in wanted))
        limit = sum(entry.size for entry in changed) + 2**20 + 4096 * len(changed)
        started = self._jobs.start(Job(_TAR_OUT, user="root"))
        files = size = 0
        with contextlib.closing(started.channel), channel_errors("mirror the workspace"):
            started.channel.settimeout(_SECONDS)
            end_input(started.channel)
            for member in read_members(_reader(started.channel), limit):
                entry = wanted.pop(member.name, None)
                if entry is None or member.size > self._limits.file_bytes:
                    refused.append((printable(member.name), "not what was asked for"))
                    continue
                try:
                    tree.write(entry.parts, member.pieces, entry.executable, entry.mtime_ns)
                except (OSError, Refused) as error:
                    refused.append((printable(member.name), _reason(error)))
                    continue
                files, size = files + 1, size + member.size
        return files, size

    def _remove_vanished(self, tree: Tree, destination: Path, entries: list[Entry]) -> int:
        here = {"/".join(entry.parts) for entry in entries}
        gone = [path for path in self._remembered(destination) if path not in here]
        return sum(tree.remove(tuple(path.split("/"))) for path in sorted(gone, key=len, reverse=True))

    def _remembered(self, folder: Path) -> list[str]:
        with contextlib.suppress(OSError, ValueError):
            return [str(path) for path in json.loads(self._manifest.read_text("utf-8")).get(str(folder.resolve()), [])]
        return []

    def _remember(self, folder: Path, paths: list[str]) -> None:
        draft = self._manifest.with_suffix(".new")
        draft.write_text(json.dumps({str(folder.resolve()): paths}), "utf-8")
        draft.chmod(0o600)
        draft.replace(self._manifest)


class _ChannelFile(io.RawIOBase):
    """A channel as a file to write to."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def writable(self) -> bool:
        """It is what it is for."""
        return True

    def write(self, data: Any, /) -> int:
        """All of it, always."""
        send(self._channel, bytes(data))
        return len(data)


def _reader(channel: paramiko.Channel) -> Callable[[int], bytes]:
    def read(count: int) -> bytes:
        with channel_errors("mirror the workspace"):
            return receive(channel, count)

    return read


def _reason(error: OSError | Refused) -> str:
    """Raises HostError for a full disk: that is no fault of the file."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise HostError("the disk is full", operation="mirror workspace", hint="free disk space") from error
    return str(error.strerror) if isinstance(error, OSError) else str(error)


def _changed(tree: Tree, entry: Entry) -> bool:
    if entry.kind != "file":
        return False
    here: Parts = entry.parts
    found = tree.lstat(here)
    return (
        found is None
        or not stat.S_ISREG(found.st_mode)
        or found.st_size != entry.size
        or abs(found.st_mtime_ns - entry.mtime_ns) > _SAME_TIME_NS
        or bool(found.st_mode & 0o100) != entry.executable
    )


def _write_archive(source: Path, file: IO[bytes]) -> list[str]:
    """Regular files, folders and links of a folder of this host, as a stream; the names of what is in it."""
    names: list[str] = []
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source).as_posix()
            if path.is_symlink() or path.is_file() or path.is_dir():
                archive.add(path, name, recursive=False, filter=_as_agent)
                names.append(name)
    return names


def _as_agent(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 1000
    member.uname = member.gname = "agent"
    return member
