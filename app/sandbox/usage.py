"""What a machine takes of this host, read from where the kernel keeps it."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from app.domain.machines import MachineUsage

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 512
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def machine_usage(folder: Path, pid: int | None) -> MachineUsage:
    """Of the machine in ``folder`` and its process, if it has one."""
    cpu_seconds, memory_bytes = 0.0, 0
    if pid is not None:
        with contextlib.suppress(OSError, ValueError):  # it may end while it is looked at
            cpu_seconds, memory_bytes = _cpu_seconds(pid), _memory_bytes(pid)
    return MachineUsage(cpu_seconds, memory_bytes, folder_bytes(folder))


def folder_bytes(folder: Path) -> int:
    """What its files really take on the disk, holes not counted."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * _BLOCK
    return total


def _cpu_seconds(pid: int) -> float:
    """All threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_bytes(pid: int) -> int:
    """Proportional set size; the resident set where the kernel does not tell it."""
    with contextlib.suppress(OSError):
        if found := _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")):
            return int(found[1]) * 1024
    return int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1]) * _PAGE
