"""What the disks of machines stand on: images, templates and packs that must stay as long as the machines do."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from app.sandbox.machine import DISK, RECORD

_QCOW2 = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQI")
_NAME_LIMIT = 1023  # what the format allows a backing file's name
_DEPTH_LIMIT = 16


def files_in_use(machines: Path) -> set[Path]:
    """Folders of images, templates and packs that the machines below ``machines`` need.

    Both their records and what their disks really name count; a machine whose record cannot be read still has a disk.
    """
    return {folder for disk in machines.glob(f"*/{DISK}") for folder in folders_of_machine(disk.parent)}


def folders_of_machine(machine: Path) -> set[Path]:
    """The same for the machine that lives in this folder; empty when it has no disk."""
    disk = machine / DISK
    if not disk.exists():
        return set()
    return {path.parent for path in backing_chain(disk)} | set(_recorded(machine / RECORD))


def backing_chain(disk: Path) -> list[Path]:
    """The files a qcow2 disk stands on, the nearest first; as far as they can be read."""
    chain: list[Path] = []
    while len(chain) < _DEPTH_LIMIT and (backing := _backing_file(chain[-1] if chain else disk)) is not None:
        chain.append(backing)
    return chain


def _backing_file(disk: Path) -> Path | None:
    try:
        with disk.open("rb") as file:
            magic, _, offset, length = _HEADER.unpack(file.read(_HEADER.size))
            if magic != _QCOW2 or not offset or not 0 < length <= _NAME_LIMIT:
                return None
            file.seek(offset)
            return disk.parent / file.read(length).decode("utf-8", "surrogateescape")
    except (OSError, struct.error):
        return None


def _recorded(record: Path) -> list[Path]:
    try:
        found = json.loads(record.read_text("utf-8"))
        return [Path(folder) for folder in [found["folder"], *found.get("packs", ())]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
