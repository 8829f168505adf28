"""A memory file on disk: read when nobody is writing it, replaced in one step; what was replaced is looked at again."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.config import make_private
from app.domain.errors import ActionRefused
from app.domain.memory import MAX_FILE_BYTES
from app.store.exchange import exchange, is_being_written, place, sync_folder

WRITER_SECONDS = 0.5
"""How long an editor that has the file open for writing is waited for; then it is looked after later."""

RETURN_SECONDS = 0.25
"""How long a file may be away while an editor puts a new one in its place."""

LOCK_SECONDS = 30.0
_PAUSE = 0.01
_REMEDY = "the user has to put a plain file of UTF-8 text there"


class MemoryPlace:
    """``path``, and beside it the hidden draft that is swapped with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.skerry")

    def read(self) -> bytes | None:
        """The bytes of the file, None when there is none. Raises ActionRefused when it is none that can be read."""
        with self._told("read"):
            return self._read(self._path)

    def comes_back(self) -> bool:
        """Whether a file that is away is there again within a moment."""
        return _within(RETURN_SECONDS, lambda: _inode(self._path) is not None)

    def write_draft(self, data: bytes) -> int:
        """Write the next file beside this one, durably; its inode number."""
        with self._told("written"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._draft.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self._draft, flags, 0o600), "wb") as file:
                os.fchmod(file.fileno(), self._mode())
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                return os.fstat(file.fileno()).st_ino

    def swap(self) -> None:
        """The draft becomes the file, and the file the draft, in one step."""
        with self._told("written"):
            while True:
                try:
                    exchange(self._draft, self._path)
                    return
                except FileNotFoundError:
                    with contextlib.suppress(FileExistsError):
                        place(self._draft, self._path)
                        return

    def sync(self) -> None:
        """Have the swap survive the power going."""
        with self._told("written"):
            sync_folder(self._path.parent)

    def displaced(self) -> bytes | None:
        """What stood in the file at the swap. None for nothing, or for what is still written: ``late`` has it then."""
        try:
            with self._opened(self._draft) as descriptor:
                if not _is_written_on(descriptor):
                    return _bytes(descriptor)
        except FileNotFoundError:
            return None
        except (OSError, ActionRefused):
            pass  # somebody put something else there at the last moment: it stays, under another name
        with self._told("written"):
            self._draft.rename(self._draft.with_name(f"{self._draft.name}-{time.time_ns()}"))
        return None

    def late(self) -> list[tuple[Path, bytes]]:
        """Displaced files that an editor went on writing, and has closed by now."""
        found = []
        for path in self._late_files():
            with contextlib.suppress(OSError, ActionRefused), self._opened(path) as descriptor:
                if not is_being_written(descriptor):
                    found.append((path, _bytes(descriptor)))
        return found

    def _late_files(self) -> list[Path]:
        if not self._path.parent.is_dir():
            return []
        return sorted(path for path in self._path.parent.iterdir() if path.name.startswith(f"{self._draft.name}-"))

    def inodes(self) -> tuple[int | None, int | None]:
        """Inode numbers of the file and of the draft."""
        return _inode(self._path), _inode(self._draft)

    def clean(self) -> None:
        """Take the draft away."""
        with self._told("written"):
            self._draft.unlink(missing_ok=True)

    def _mode(self) -> int:
        try:
            return stat.S_IMODE(self._path.lstat().st_mode) & 0o777
        except FileNotFoundError:
            return 0o600

    def _read(self, path: Path) -> bytes | None:
        try:
            with self._opened(path) as descriptor:
                _is_written_on(descriptor)
                return _bytes(descriptor)
        except FileNotFoundError:
            return None

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        if path.is_symlink():
            raise _unusable(f"{self._path.name} is a symbolic link")
        # Never blocks on a pipe, never follows a link, and looks at what was really opened.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise _unusable(f"{self._path.name} is {'a folder' if stat.S_ISDIR(found.st_mode) else 'no file'}")
            if found.st_size > MAX_FILE_BYTES:
                raise _unusable(f"{self._path.name} has {found.st_size} bytes, more than {MAX_FILE_BYTES}")
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unusable(f"{self._path.name} cannot be {what}: {error.strerror}") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that all our writers of one memory honour, in this process and in others."""
    make_private(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _within(LOCK_SECONDS, lambda: _lock(descriptor)):
            raise ActionRefused(
                "another program holds this memory", operation="lock memory", hint="try again in a moment"
            )
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_written_on(descriptor: int) -> bool:
    """Whether somebody goes on writing it though waited for."""
    return not _within(WRITER_SECONDS, lambda: not is_being_written(descriptor))


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(_PAUSE)
    return found


def _bytes(descriptor: int) -> bytes:
    parts, offset = [], 0
    while part := os.pread(descriptor, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
        if offset > MAX_FILE_BYTES:
            raise _unusable(f"the memory file grows beyond {MAX_FILE_BYTES} bytes")
    data = b"".join(parts)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _unusable("the memory file is UTF-16 text")
    return data


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None


def _unusable(words: str) -> ActionRefused:
    return ActionRefused(words, operation="use memory", hint=_REMEDY)
