"""What a machine room may have left behind."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

from app.bench.processes import processes_naming

_DRIVER_LOCK = "driver.pid"
"""libvirt's own, one a folder; it stays."""


def leftovers(root: Path, images: Path) -> list[str]:
    """Processes, disks, sockets, files of libvirt, half-built things and temporary files; empty when all is clean."""
    found = [f"process {pid} {program.decode()}" for pid, program in processes_naming(root)]
    for folder, patterns in {
        root / "m": ("*",),
        root / "s": ("*",),
        root / "tmp": ("*",),
        root / "t": (".*.build-*",),
        root / "v": ("run/qemu/*.pid", "run/qemu/*.xml*", "lib/qemu/domain-*"),
    }.items():
        found += [str(path) for pattern in patterns for path in folder.glob(pattern) if path.name != _DRIVER_LOCK]
    return [*found, *map(str, abandoned_builds(images))]


def abandoned_builds(images: Path) -> Iterator[Path]:
    """Folders in which something was being built by nobody who still lives."""
    for folder in images.glob(".*.build-*"):
        with (images / f"{folder.name.partition('.build-')[0]}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if folder.exists():
                yield folder
