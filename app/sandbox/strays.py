"""QEMU processes libvirt has forgotten, as when its state was on a file system that is gone since the last logout.

Such a machine still holds its disk. Its process is written down beside the disk, with its start time, as numbers of
processes are used again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path

_FILE = "qemu.pid"
_SECONDS = 10.0


def note_process(folder: Path, pid: int) -> None:
    """Remember the machine's process."""
    (folder / _FILE).write_text(f"{pid} {_start_time(pid)}\n", "utf-8")


def end_stray(folder: Path) -> bool:
    """End the noted process if it still is the one that was noted; true when one was ended."""
    with contextlib.suppress(OSError, ValueError):
        pid, start_time = map(int, (folder / _FILE).read_text("utf-8").split())
        handle = os.pidfd_open(pid)
        try:
            if _start_time(pid) != start_time:
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], _SECONDS)
            return True
        finally:
            os.close(handle)
    return False


def _start_time(pid: int) -> int:
    """Clock ticks since boot."""
    return int(Path("/proc", str(pid), "stat").read_text("utf-8").rpartition(")")[2].split()[19])
