"""What is kept in the folder of images: which of it is of today's recipes, which of it machines stand on, which can go.

Several Skerries may share one folder of images, each with machines of its own: whoever makes machines from it registers
where they are (``ImageBuilder.register``), so that nobody throws away what another one's disks stand on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.domain.errors import ImageError
from app.sandbox.image import USERS, ImageBuilder
from app.sandbox.packs import PackBuilder
from app.sandbox.standing import backing_chain, folders_of_machine
from app.sandbox.template import Template

Kind = Literal["image", "pack", "template", "leftover"]
TEMPLATE_DAYS = 14
"""A template of today's image that no machine stands on is kept this long after it was last cloned."""

_FINISHED = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)-(?P<key>[0-9a-f]{12})(-\d+)?")
_LEFTOVER = re.compile(r"\.(?P<whole>[a-z0-9][a-z0-9-]*-[0-9a-f]{12}(-\d+)?)\.(build|removed)-\w+")


@dataclass(frozen=True, slots=True)
class Stocked:
    """One folder below the folder of images. ``verdict`` says in words why it is kept, or why it can go."""

    folder: Path
    kind: Kind
    name: str
    """What it is called in recipes; empty for a template and for what was left over."""
    current: bool
    """Whether today's recipes would make this very one."""
    bytes: int
    """What it takes on the disk."""
    machines: Sequence[str]
    """Machines whose disks stand on it, or that have it mounted."""
    expendable: bool
    verdict: str


def take_stock(images: ImageBuilder, packs: PackBuilder, *, everything: bool = False) -> list[Stocked]:
    """What there is, by name. ``everything``: what is of today's recipes can go too, when no machine needs it.

    Raises ImageError when a folder cannot be read, of images or of machines that may need them.
    """
    folder = images.folder
    needed = _needed(folder)
    today = {found.folder for found in [*map(images.find, images.names()), *map(packs.find, packs.names())] if found}
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ImageError(f"{folder} cannot be read: {error.strerror}", operation="list images") from error
    judge = _Judge(images.names(), packs.names(), today, needed, everything)
    return [found for path in paths if (found := judge.of(path)) is not None]


def remove(images: Path, stocked: Stocked) -> str:
    """Take it away; empty when it is gone, else why it is still there. A build of the same thing is left alone."""
    whole = found["whole"] if (found := _LEFTOVER.fullmatch(stocked.folder.name)) else stocked.folder.name
    with _build_lock(images, whole) as free:
        if not free:
            return "it is being built just now"
        users = _needed(images).get(stocked.folder)
        if users:
            return f"{', '.join(sorted(users))} began to use it"
        doomed = images / f".{whole}.removed-{secrets.token_hex(4)}"
        try:
            stocked.folder.rename(doomed)  # in one step: nobody finds half of it
            shutil.rmtree(doomed)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{error.filename or stocked.folder}: {error.strerror}"
    return ""


@dataclass(frozen=True, slots=True)
class _Judge:
    images: Sequence[str]
    packs: Sequence[str]
    today: set[Path]
    needed: dict[Path, set[str]]
    everything: bool

    def of(self, path: Path) -> Stocked | None:
        """None for what is not ours."""
        if _LEFTOVER.fullmatch(path.name):
            return Stocked(path, "leftover", "", False, _size(path), (), *self._leftover(path))
        found = _FINISHED.fullmatch(path.name)
        kind, name = self._kind(found["name"]) if found else (None, "")
        if kind is None:
            return None
        machines = tuple(sorted(self.needed.get(path, ())))
        current = self._is_current(path, kind)
        return Stocked(path, kind, name, current, _size(path), machines, *self._verdict(path, kind, current, machines))

    def _kind(self, name: str) -> tuple[Kind | None, str]:
        if name == "template":
            return "template", ""
        if name.startswith("pack-"):
            return "pack", name.removeprefix("pack-")
        return ("image", name) if name in self.images or name == "base" else (None, "")

    def _is_current(self, path: Path, kind: Kind) -> bool:
        if kind != "template":
            return path in self.today
        stands_on = {file.parent for file in backing_chain(path / "disk.qcow2")}
        return bool(stands_on) and stands_on <= self.today

    def _verdict(self, path: Path, kind: Kind, current: bool, machines: Sequence[str]) -> tuple[bool, str]:
        if machines:
            return False, f"in use by {', '.join(machines)}"
        if kind == "template" and Template(path).set_aside:
            return True, "damaged, and put aside"
        if not current:
            return True, "of an older recipe" if kind != "template" else "of an older image"
        if self.everything:
            return True, "of today's recipe, but everything was asked for"
        if kind == "template" and (days := _days_unused(path)) > TEMPLATE_DAYS:
            return True, f"not used for {days:.0f} days"
        return False, "of today's recipe"

    def _leftover(self, path: Path) -> tuple[bool, str]:
        whole = _LEFTOVER.fullmatch(path.name)
        with _build_lock(path.parent, whole["whole"] if whole else "") as free:
            return (True, "left by a build that was cut off") if free else (False, "being built")


def _needed(images: Path) -> dict[Path, set[str]]:
    """Folders that machines need, each with the names of these machines."""
    needed: dict[Path, set[str]] = {}
    for machines in _registered(images):
        for machine in _machines(machines):
            for folder in folders_of_machine(machine):
                needed.setdefault(folder, set()).add(machine.name)
    return needed


def _registered(images: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        for note in (images / USERS).iterdir():
            with contextlib.suppress(OSError):
                yield Path(os.fsdecode(note.read_bytes()))


def _machines(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []  # that Skerry is gone
    except OSError as error:
        # A folder that is there and cannot be read may hold machines: nothing is safe to remove.
        raise ImageError(
            f"{folder} cannot be read, and machines in it may need images: {error.strerror}", operation="list images"
        ) from error


@contextlib.contextmanager
def _build_lock(images: Path, name: str) -> Iterator[bool]:
    with (images / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _days_unused(template: Path) -> float:
    """By the folder's own time, which is set at every cloning."""
    with contextlib.suppress(OSError):
        return (time.time() - template.stat().st_mtime) / 86_400
    return 0.0


def _size(folder: Path) -> int:
    """Bytes on the disk; holes count nothing, and what vanishes meanwhile neither."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def prune(images: Path, doomed: Sequence[Stocked], told: Callable[[Stocked, str], None]) -> int:
    """Remove all of it; ``told`` hears of each, with why it stayed or empty. Returns the bytes that were freed."""
    freed = 0
    for stocked in doomed:
        why = remove(images, stocked)
        told(stocked, why)
        freed += 0 if why else stocked.bytes
    return freed
