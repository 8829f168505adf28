"""The folder of one machine on this host: its disk, its keys, what it was made from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from app.domain.errors import SandboxError
from app.sandbox.disk_image import make_overlay
from app.sandbox.host_tools import require_space
from app.sandbox.image import Image
from app.sandbox.keys import MachineKeys, load_or_make_keys

DISK, RECORD = "disk.qcow2", "machine.json"
_STAGE = "stage"
Stage = Literal["making", "starting", "running", "stopped"]
"""``making``: its disk was never used; ``starting``: it was not ready yet; ``stopped``: by us, not lost."""
TRANSFER_BYTES = 4 * 2**30
"""Size of the transfer disk as the machine sees it."""
_SPACE_NEEDED = 2**30
_LOG_LIMIT = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Machine:
    """Paths of one machine. ``sockets`` is a folder only we can enter, with a short path."""

    name: str
    folder: Path
    sockets: Path

    @property
    def disk(self) -> Path:
        """The overlay: all the machine ever wrote."""
        return self.folder / DISK

    @property
    def console_log(self) -> Path:
        """What the machine says on its serial port."""
        return self.folder / "console.log"

    @property
    def transfer(self) -> Path:
        """A raw disk, sparse, over which large things go in and out; empty between two of them."""
        return self.folder / "transfer.img"

    @property
    def mirror_manifests(self) -> Path:
        """What was brought out of workspaces, by where it went. Outlives the machine, as what was brought out does."""
        return self.folder.parent.parent / "mirrors"

    @property
    def saved_memory(self) -> Path:
        """Memory and state of a suspended machine."""
        return self.folder / "memory"

    @property
    def saved_memory_draft(self) -> Path:
        """One that is still being written, or never was finished."""
        return self.folder / "memory.new"

    @property
    def stage(self) -> Stage | None:
        """How far its life had come when somebody last took note."""
        with contextlib.suppress(OSError):
            word = (self.folder / _STAGE).read_text("utf-8")
            return next((stage for stage in get_args(Stage) if stage == word), None)
        return None

    def enter(self, stage: Stage) -> None:
        """Take note of where it is now, durably: a disk in use must not be taken for one that never was."""
        draft = self.folder / f"{_STAGE}.new"
        draft.write_text(stage, "utf-8")
        sync(draft)
        draft.replace(self.folder / _STAGE)
        sync(self.folder)

    @property
    def control_socket(self) -> Path:
        """The unix socket of the control channel."""
        return self.sockets / f"{self._short}.c"

    @property
    def ssh_socket(self) -> Path:
        """The unix socket of the SSH channel."""
        return self.sockets / f"{self._short}.s"

    @property
    def serial_socket(self) -> Path:
        """The unix socket of the serial port, for a person."""
        return self.sockets / f"{self._short}.t"

    @property
    def migration_socket(self) -> Path:
        """Where its state goes out or comes in."""
        return self.sockets / f"{self._short}.m"

    @property
    def all_sockets(self) -> tuple[Path, ...]:
        """Wherever a socket of it can be."""
        return self.control_socket, self.ssh_socket, self.serial_socket, self.migration_socket

    @property
    def exists(self) -> bool:
        """Whether it has a disk to start from."""
        return self.disk.exists()

    def keys(self) -> MachineKeys:
        """The machine's keys, made when missing."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return load_or_make_keys(self.folder)

    def make(self, image: Image, disk_gib: int, template_disk: Path | None = None) -> None:
        """Give it a fresh disk on the image, or on the disk of a template that stands on the image.

        Raises HostError when the host's disk is full.
        """
        if disk_gib < image.disk_gib:
            raise SandboxError(
                f"a disk of {disk_gib} GiB is too small for image {image.name}",
                operation="make the machine",
                hint=f"sandbox.disk must be at least {image.disk_gib}GiB",
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        require_space(self.folder, _SPACE_NEEDED, "make the machine")
        record = {"name": self.name, "image": image.name, "key": image.key, "folder": str(image.folder)}
        self._write_record(record)
        self.enter("making")
        draft = self.folder / "disk.new"
        if template_disk is None:
            make_overlay(image.rootfs, draft, disk_gib)
        else:
            make_overlay(template_disk, draft, disk_gib, "qcow2")
        draft.rename(self.disk)

    def image(self) -> Image:
        """The image its disk stands on, whatever today's recipe is. Raises SandboxError when that is gone."""
        record = self._record()
        image = Image(record["image"], record["key"], Path(record["folder"]), 0)
        if not image.rootfs.exists():
            hint = "the machine must be destroyed and made again; its mirrored workspace is safe"
            raise SandboxError(f"the image of machine {self.name} is gone", operation="start", hint=hint)
        return image

    def note_packs(self, folders: list[Path]) -> None:
        """Write down what packs it is about to be started with. Raises SandboxError."""
        record, packs = self._record(), [str(folder) for folder in folders]
        if record.get("packs") != packs:
            self._write_record({**record, "packs": packs})

    def empty_transfer(self) -> None:
        """Give back to the host what the transfer disk takes; made when missing."""
        with self.transfer.open("wb") as file:
            file.truncate(TRANSFER_BYTES)
        self.transfer.chmod(0o600)

    def clear_sockets(self) -> None:
        """Stale sockets of a machine that ended without us; a console log that grew too long."""
        for path in self.all_sockets:
            path.unlink(missing_ok=True)
        self.trim_console()

    def trim_console(self) -> bool:
        """Empty the console's log when it is longer than 4 MiB; true when it was. QEMU goes on writing at its end.

        To be called now and then while the machine runs: what is in it can write for ever.
        """
        with contextlib.suppress(FileNotFoundError):
            if self.console_log.stat().st_size > _LOG_LIMIT:
                os.truncate(self.console_log, 0)
                return True
        return False

    def remove(self) -> None:
        """Disk, keys, sockets: all gone."""
        self.clear_sockets()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads((self.folder / RECORD).read_text("utf-8"))
            if isinstance(record, dict) and all(isinstance(record[name], str) for name in ("image", "key", "folder")):
                return record
        except (OSError, ValueError, KeyError):
            pass
        raise SandboxError(f"the record of machine {self.name} cannot be read", operation="start")

    def _write_record(self, record: dict[str, Any]) -> None:
        draft = self.folder / f"{RECORD}.new"
        draft.write_text(json.dumps(record) + "\n", "utf-8")
        draft.replace(self.folder / RECORD)

    @property
    def _short(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:12]


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
