"""What happens to machines when this host's own disk is full.

QEMU cannot write what a machine wants written, so libvirt stops its processors: nothing is lost, and nothing moves.
The user is told, and the machine goes on by itself when there is room again.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from app.domain.errors import SkerryError
from app.domain.machines import Notice
from app.sandbox.hypervisor import Hypervisor

_ROOM = 256 * 2**20
_SECONDS = 2.0
log = logging.getLogger(__name__)
Tell = Callable[[str, Notice], None]


class HostDiskWatch:
    """``folder`` is where the disks of machines are; ``room`` bytes must be free there before one goes on."""

    def __init__(self, hypervisor: Hypervisor, folder: Path, tell: Tell, room: int = _ROOM) -> None:
        self._hypervisor, self._folder, self._tell, self._room = hypervisor, folder, tell, room
        self._lock = threading.Lock()
        self._standing: set[str] = set()
        self._closed = threading.Event()

    def start(self) -> None:
        """Hear of machines from now on."""
        self._hypervisor.on_disk_full(self.stopped)

    def close(self) -> None:
        """Wait for nothing any more. Machines that stand still go on standing."""
        self._closed.set()

    def stopped(self, name: str) -> None:
        """A machine was stopped because it could not write; returns at once."""
        with self._lock:
            if name in self._standing:
                return
            self._standing.add(name)
        place = self._folder / name
        room = f"{self._room // 2**20} MiB"
        words = f"the disk of this host is full ({place}): the machine stands still until you free {room} there"
        self._tell(name, Notice("disk", words))
        threading.Thread(target=self._wait, args=(name, place), name=f"disk-{name}", daemon=True).start()

    def _wait(self, name: str, place: Path) -> None:
        try:
            while not self._closed.wait(_SECONDS):
                if not place.exists():
                    return
                if shutil.disk_usage(place).free >= self._room:
                    self._hypervisor.resume(name)
                    self._tell(name, Notice("disk", "this host's disk has room again; the machine goes on"))
                    return
        except (SkerryError, OSError):
            log.info("%s did not go on after its disk had room again", name, exc_info=True)
        finally:
            with self._lock:
                self._standing.discard(name)
