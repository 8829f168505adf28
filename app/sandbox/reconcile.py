"""What is here against what should be, when an engine starts: nothing that nobody can use any more stays.

Only what is known to be ours is touched, and what a machine to be kept may need never is. One thing that cannot be
removed does not keep the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.errors import SkerryError
from app.domain.machines import Reconciliation, Removed
from app.sandbox.hypervisor import Hypervisor
from app.sandbox.machine import DISK, RECORD, Machine
from app.sandbox.standing import files_in_use
from app.sandbox.strays import end_process, machine_processes
from app.sandbox.template import Template

_SOCKET = re.compile(r"[0-9a-f]{12}\.[cmst]")
_BUILD = re.compile(r"\.(.+)\.build-[^.]+")
_OURS = (RECORD, DISK, "disk.new", "host_key", "client_key")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """``kept``: folders in which images, packs and templates are."""

    hypervisor: Hypervisor
    machines: Path
    sockets: Path
    libvirt_root: Path
    kept: Collection[Path]
    removed: list[Removed] = field(default_factory=list)

    def reconcile(self, keep: Collection[str], expected: Collection[str]) -> Reconciliation:
        """See ``SandboxHost.reconcile``; blocks."""
        steps = (self._domains, self._processes, self._folders, self._drafts, self._sockets, self._logs)
        for step in (*steps, self._libvirt_folders):
            with self._going_on(step.__name__):
                step(keep)
        with self._going_on("builds"):
            self._builds()
        with self._going_on("templates"):
            self._templates()
        living = sorted(name for name in keep if self._lives(name))
        return Reconciliation(tuple(living), tuple(sorted(set(expected) - set(living))), tuple(self.removed))

    def _domains(self, keep: Collection[str]) -> None:
        for name in self.hypervisor.names():
            if name not in keep:
                why = "its making was broken off" if name.startswith("template-") else "no agent has it"
                self._remove("domain", name, why, lambda name=name: self.hypervisor.destroy(name))  # type: ignore[misc]

    def _processes(self, keep: Collection[str]) -> None:
        known = self.hypervisor.names()
        known_pids = {self.hypervisor.pid(name) for name in known}
        folders = [self.machines, self.sockets, self.libvirt_root]
        for pid, name in machine_processes(folders).items():
            if name in known or pid in known_pids:
                continue
            with self._going_on(f"process {pid}"):
                if end_process(pid, name, folders):
                    self.removed.append(Removed("process", f"{name} ({pid})", "libvirt had forgotten it"))

    def _folders(self, keep: Collection[str]) -> None:
        alive = self.hypervisor.names()
        for folder in _entries(self.machines):
            if folder.name in keep or folder.name in alive or folder.is_symlink():
                continue
            if any((folder / name).exists() for name in _OURS):
                self._remove("disk", folder.name, "no agent has it", lambda folder=folder: shutil.rmtree(folder))  # type: ignore[misc]

    def _drafts(self, keep: Collection[str]) -> None:
        for name in keep:
            for path in sorted((self.machines / name).glob("*.new")):
                self._remove("file", f"{name}/{path.name}", "it was never finished", path.unlink)

    def _sockets(self, keep: Collection[str]) -> None:
        alive = self.hypervisor.names()
        needed = {path for name in alive for path in self._machine(name).all_sockets if path.suffix != ".m"}
        owners = {path: name for name in keep for path in self._machine(name).all_sockets}
        for path in _entries(self.sockets):
            if _SOCKET.fullmatch(path.name) and path.is_socket() and path not in needed:
                self._remove("socket", path.name, _why_no_socket(owners.get(path)), path.unlink)

    def _logs(self, keep: Collection[str]) -> None:
        alive = self.hypervisor.names()
        for path in self.hypervisor.logs():
            if path.stem not in keep and path.stem not in alive:
                self._remove("file", path.name, "the log of a machine that is gone", path.unlink)

    def _libvirt_folders(self, keep: Collection[str]) -> None:
        for folder in self.hypervisor.forgotten_folders():
            why = "libvirt had it for a machine that is gone"
            self._remove("file", folder.name, why, lambda folder=folder: shutil.rmtree(folder))  # type: ignore[misc]

    def _builds(self) -> None:
        for folder in (path for kept in self.kept for path in _entries(kept)):
            if (found := _BUILD.fullmatch(folder.name)) and folder.is_dir() and not folder.is_symlink():
                with _lock(folder.parent / f".{found[1]}.lock") as free:
                    if free:
                        self._remove("file", folder.name, "its making was broken off", lambda: shutil.rmtree(folder))  # noqa: B023

    def _templates(self) -> None:
        in_use = files_in_use(self.machines)
        for folder in (path for kept in self.kept for path in _entries(kept)):
            if folder.name.startswith("template-") and Template(folder).set_aside and folder not in in_use:
                self._remove("file", folder.name, "it was put aside and no machine needs it", lambda: _drop(folder))  # noqa: B023

    def _lives(self, name: str) -> bool:
        machine = self._machine(name)
        return machine.exists and (self.hypervisor.is_alive(name) or machine.saved_memory.exists())

    def _remove(self, what: str, name: str, why: str, action: Callable[[], object]) -> None:
        with self._going_on(f"{what} {name}"):
            action()
            self.removed.append(Removed(what, name, why))

    def _machine(self, name: str) -> Machine:
        return Machine(name, self.machines / name, self.sockets)

    @contextlib.contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        try:
            yield
        except (SkerryError, OSError):
            log.warning("%s could not be put in order", what, exc_info=True)


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(folder.iterdir())
    return []


def _why_no_socket(owner: str | None) -> str:
    return f"{owner} does not run" if owner else "no agent has it"


def _drop(folder: Path) -> None:
    """No longer a template from the first moment on."""
    doomed = folder.with_name(f".{folder.name}.build-dropped")
    folder.rename(doomed)
    shutil.rmtree(doomed)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether nobody builds under this lock; while the body runs nobody can."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
