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
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

_NAME_BYTES = 255
_PATH_BYTES = 4096
_DEPTH = 64
_FORBIDDEN = {".git"}
Parts = tuple[str, ...]


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
    if _FORBIDDEN & {part.casefold() for part in parts}:
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


class Tree:
    """The folder things are written to."""

    def __init__(self, root: Path) -> None:
        self._root = root

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
                _clear(parts[-1], parent)
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
                _clear(parts[-1], parent)
                os.replace(draft, parts[-1], src_dir_fd=parent, dst_dir_fd=parent)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=parent)

    def folder(self, parts: Parts) -> None:
        """A folder and those above it."""
        with self._parent((*parts, "")):
            pass

    def remove(self, parts: Parts) -> bool:
        """A file, a link or an empty folder; false when it was not there or is not empty."""
        with contextlib.suppress(OSError, Refused), self._parent(parts, make=False) as parent:
            if stat.S_ISDIR(os.lstat(parts[-1], dir_fd=parent).st_mode):
                os.rmdir(parts[-1], dir_fd=parent)
            else:
                os.unlink(parts[-1], dir_fd=parent)
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
            for part in parts[:-1]:
                below = _enter(current, part, make)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)


def _enter(parent: int, name: str, make: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError, OSError):
        if not make:
            raise
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)  # a file or a link that is a folder now
    os.mkdir(name, 0o755, dir_fd=parent)
    return os.open(name, flags, dir_fd=parent)


def _clear(name: str, parent: int) -> None:
    """A folder that is a file now must be empty: what it held is gone from the machine, and removed before."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError:
                raise Refused("a folder of this host with files of its own is in the way") from None
