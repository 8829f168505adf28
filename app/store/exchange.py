"""What Linux offers beyond Python's library to replace a file that somebody else may be writing."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE, _EXCHANGE = 1, 2  # renameat2(2)
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


Rename = Callable[[Path, Path, int], None]


def renameat2(one: Path, other: Path, flags: int) -> None:
    """The system call. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    if library.renameat2(*names, ctypes.c_uint(flags)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))


def exchange(one: Path, other: Path, rename: Rename = renameat2) -> None:
    """Swap two files in one step: what stood at either is at the other, nothing in between. Raises OSError.

    A file system that cannot gets the nearest there is: what is saved into ``other`` within microseconds is lost. What
    is left over when that is killed is named ``one`` with ``-aside`` behind.
    """
    try:
        rename(one, other, _EXCHANGE)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        aside = one.with_name(f"{one.name}-aside")
        aside.unlink(missing_ok=True)
        os.link(other, aside)
        one.replace(other)
        aside.replace(one)


def place(one: Path, other: Path, rename: Rename = renameat2) -> None:
    """Move ``one`` to where nothing is. Raises FileExistsError when something is there by now, or OSError."""
    try:
        rename(one, other, _NOREPLACE)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        os.link(one, other)
        one.unlink()


def is_being_written(descriptor: int) -> bool:
    """Whether anybody has this file, which we opened for reading, open for writing.

    A read lease is granted only where nobody has (fcntl(2), F_SETLEASE). Where there are no leases: False.
    """
    # Somebody may open it while we hold the lease: the kernel says so with SIGIO, of which a process dies.
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` survive the power going."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
