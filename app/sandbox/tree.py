"""Writing what a machine sent below one folder of this host, and nowhere else.

Every step goes through a descriptor of the folder before it and follows no link, so that neither a name nor a link
that an earlier file left behind can lead out.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

_NAME_BYTES = 255
_PATH_BYTES = 4096
_DEPTH = 64
_FORBIDDEN = {".git", "git~1"}  # the second is what Windows calls the first
Parts = tuple[str, ...]
Replaceable = Callable[[Parts, os.stat_result], bool]
"""Whether what is there already may be replaced or removed; what may not is the user's own."""


class Refused(Exception):
    """A name or a link that may not come out; the text is the reason."""


def safe_parts(raw: bytes) -> Parts:
    """The components of a relative path of the workspace. Raises Refused with the reason.

    ``.git`` is refused at any depth: its hooks and settings would run on this host at the user's next ``git status``.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("the name is not UTF-8") from None
    if len(raw) > _PATH_BYTES:
        raise Refused("the path is too long")
    if text.startswith("/"):
        raise Refused("the path is absolute")
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in text):
        raise Refused("the name has control characters")
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if ".." in parts:
        raise Refused("the path leads out of the workspace")
    if not parts or len(parts) > _DEPTH or any(len(part.encode()) > _NAME_BYTES for part in parts):
        raise Refused("the path is empty, too deep or too long")
    if _FORBIDDEN & {part.rstrip(" .").casefold() for part in parts}:
        raise Refused("git's own files stay in the machine")
    return parts


def safe_target(parts: Parts, raw: bytes) -> str:
    """The target of a symbolic link at ``parts`` if it stays in the workspace. Raises Refused.

    Steps upwards are allowed at the beginning only: behind a step down, which may be a link itself, they could lead
    anywhere.
    """
    try:
        target = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("the link's target is not UTF-8") from None
    steps = [step for step in target.split("/") if step not in ("", ".")]
    ups = next((n for n, step in enumerate(steps) if step != ".."), len(steps))
    if target.startswith("/") or ups > len(parts) - 1 or ".." in steps[ups:]:
        raise Refused("the link leads out of the workspace")
    if steps[ups:]:
        safe_parts("/".join(steps[ups:]).encode())
    return str(PurePosixPath(*steps)) if steps else "."


def _anything(parts: Parts, found: os.stat_result) -> bool:
    return True


class Tree:
    """The folder things are written to."""

    def __init__(self, root: Path, replaceable: Replaceable = _anything) -> None:
        self._root, self._replaceable = root, replaceable

    def write(self, parts: Parts, pieces: Iterable[bytes], executable: bool, mtime_ns: int) -> None:
        """A regular file; it replaces whatever has its name in one step."""
        with self._parent(parts) as parent:
            draft = f".skerry-{secrets.token_hex(6)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            try:
                with os.fdopen(os.open(draft, flags, 0o600, dir_fd=parent), "wb") as file:
                    for piece in pieces:
                        file.write(piece)
                    os.fchmod(file.fileno(), 0o755 if executable else 0o644)
                os.utime(draft, ns=(mtime_ns, mtime_ns), dir_fd=parent)
                self._clear(parts, parent)
                os.replace(draft, parts[-1], src_dir_fd=parent, dst_dir_fd=parent)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=parent)

    def link(self, parts: Parts, target: str) -> None:
        """A symbolic link; ``target`` comes from ``safe_target``."""
        with self._parent(parts) as parent:
            draft = f".skerry-{secrets.token_hex(6)}"
            os.symlink(target, draft, dir_fd=parent)
            try:
                self._clear(parts, parent)
                os.replace(draft, parts[-1], src_dir_fd=parent, dst_dir_fd=parent)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=parent)

    def folder(self, parts: Parts) -> None:
        """A folder and those above it."""
        with self._parent((*parts, "")):
            pass

    def remove(self, parts: Parts) -> bool:
        """A file, a link or an empty folder; false when it was not there, is not empty or is the user's."""
        with contextlib.suppress(OSError, Refused), self._parent(parts, make=False) as parent:
            found = os.lstat(parts[-1], dir_fd=parent)
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(parts[-1], dir_fd=parent)
            elif self._replaceable(parts, found):
                os.unlink(parts[-1], dir_fd=parent)
            else:
                return False
            return True
        return False

    def lstat(self, parts: Parts) -> os.stat_result | None:
        """What is there, links not followed."""
        with contextlib.suppress(OSError, Refused), self._parent(parts, make=False) as parent:
            return os.lstat(parts[-1], dir_fd=parent)
        return None

    def readlink(self, parts: Parts) -> str | None:
        """Where a link points to; None when there is none."""
        with contextlib.suppress(OSError, Refused), self._parent(parts, make=False) as parent:
            return os.readlink(parts[-1], dir_fd=parent)
        return None

    @contextlib.contextmanager
    def _parent(self, parts: Parts, make: bool = True) -> Iterator[int]:
        if make:
            self._root.mkdir(parents=True, exist_ok=True)
        current = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for depth, part in enumerate(parts[:-1], start=1):
                below = self._enter(current, parts[:depth], part, make)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def _enter(self, parent: int, parts: Parts, name: str, make: bool) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            return os.open(name, flags, dir_fd=parent)
        except OSError:
            if not make:
                raise
        with contextlib.suppress(FileNotFoundError):
            self._check(parts, os.lstat(name, dir_fd=parent))
            os.unlink(name, dir_fd=parent)  # a file or a link that is a folder now
        os.mkdir(name, 0o755, dir_fd=parent)
        return os.open(name, flags, dir_fd=parent)

    def _clear(self, parts: Parts, parent: int) -> None:
        """A folder that is a file now must be empty: what it held is gone from the machine, and removed before."""
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(parts[-1], dir_fd=parent)
            if not stat.S_ISDIR(found.st_mode):
                self._check(parts, found)
                return
            try:
                os.rmdir(parts[-1], dir_fd=parent)
            except OSError:
                raise Refused("a folder of this host with files of its own is in the way") from None

    def _check(self, parts: Parts, found: os.stat_result) -> None:
        if not self._replaceable(parts, found):
            raise Refused("this host has a version of its own, which is kept")
