"""QEMU processes libvirt has forgotten, as when its state was on a file system that is gone since the last logout.

Such a machine still holds its disk. Its process is written down beside the disk, with its start time, as numbers of
processes are used again; and a process of ours is known by its command line, which names our folders.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_FILE = "qemu.pid"
_SECONDS = 10.0
PROBE = "(probe)"
"""What is said for the name of a QEMU that libvirt only asked what it can do; no machine can be called so."""
_GUEST = re.compile(rb"guest=([A-Za-z0-9_.-]+)")


def note_process(folder: Path, pid: int) -> None:
    """Remember the machine's process."""
    (folder / _FILE).write_text(f"{pid} {_start_time(pid)}\n", "utf-8")


def end_stray(folder: Path) -> bool:
    """End the noted process if it still is the one that was noted; true when one was ended."""
    try:
        pid, start_time = map(int, (folder / _FILE).read_text("utf-8").split())
    except (OSError, ValueError):
        return False
    return _end(pid, lambda: _start_time(pid) == start_time)


def machine_processes(folders: Sequence[Path]) -> dict[int, str]:
    """Processes of machines whose files are below one of ``folders``: number and the machine's name."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (name := _guest(int(entry.name), folders)) is not None:
            found[int(entry.name)] = name
    return found


def end_process(pid: int, name: str, folders: Sequence[Path]) -> bool:
    """End a process that ``machine_processes`` found, if it still is the same."""
    return _end(pid, lambda: _guest(pid, folders) == name)


def _end(pid: int, is_it: Callable[[], bool]) -> bool:
    """With a handle on the process first, what is looked at is what is ended."""
    with contextlib.suppress(OSError, ValueError), _handle(pid) as handle:
        if is_it():
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], _SECONDS)
            return True
    return False


@contextlib.contextmanager
def _handle(pid: int) -> Iterator[int]:
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def _guest(pid: int, folders: Sequence[Path]) -> str | None:
    """Name of the machine this process runs, when it is one of ours."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    if not any(os.fsencode(f"{folder}{os.sep}") in word for folder in folders for word in words):
        return None
    if _value(words, b"-machine").startswith(b"none,") and _value(words, b"-qmp"):
        return PROBE
    named = _GUEST.match(_value(words, b"-name"))
    return named[1].decode("ascii") if named else None


def _value(words: Sequence[bytes], option: bytes) -> bytes:
    return next((value for word, value in itertools.pairwise(words) if word == option), b"")


def _start_time(pid: int) -> int:
    """Clock ticks since boot."""
    return int(Path("/proc", str(pid), "stat").read_text("utf-8").rpartition(")")[2].split()[19])
