"""What /proc tells of machines: their processes, and the memory they take."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from app.domain.errors import SandboxError

_EMULATOR = b"qemu-system"
_SECONDS = 5.0


def processes_naming(folder: Path) -> Iterator[tuple[int, bytes]]:
    """Process id and program of each process, but this one, that has ``folder`` in its command line."""
    words = os.fsencode(folder)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if words + b"/" in command or command.rstrip(b"\0").endswith(words):
                yield int(entry.name), command.split(b"\0", 1)[0]


def qemu_of(folder: Path) -> int:
    """The QEMU whose disk is in ``folder``. Raises SandboxError when there is none."""
    found = [pid for pid, program in processes_naming(folder) if _EMULATOR in program]
    if not found:
        raise SandboxError(f"no QEMU uses {folder}", operation="bench")
    return found[0]


def pss_mib(pid: int) -> float:
    """Proportional set size: pages shared with others count by their share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise SandboxError(f"process {pid} has no memory", operation="bench")


def end_processes(folder: Path) -> int:
    """Kill what names ``folder`` in its command line and wait for it; how many there were."""
    handles = []
    for pid, _ in list(processes_naming(folder)):
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    for handle in handles:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    for handle in handles:
        select.select([handle], [], [], _SECONDS)
        os.close(handle)
    return len(handles)
