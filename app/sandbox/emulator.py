"""The emulator that libvirt is told of: a small script that puts QEMU behind walls (``app.sandbox.enclosure``).

libvirt remembers what an emulator can do by its path and its time of change. So there is one script for all machines,
written again only when QEMU, or what the script says, is another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from app.domain.errors import ImageError, SkerryError
from app.sandbox import enclosure
from app.sandbox.host_tools import run_tool
from app.sandbox.qemu import inspect_qemu

_GUARD_SOURCE = Path(__file__).with_name("ram_guard.c")
_DISK = "disk.qcow2"


class Emulator:
    """``folder`` is libvirt's, ``images`` what all machines may read."""

    def __init__(self, folder: Path, images: Sequence[Path]) -> None:
        self._folder, self._images = folder, images
        self._path = ""
        self._guard: Path | None = None

    @property
    def path(self) -> str:
        """What to name to libvirt; QEMU itself until ``prepare``, and where no script can be run."""
        return self._path or inspect_qemu().path

    @property
    def keeps_templates_whole(self) -> bool:
        """Whether machines that share a template's memory may give pages back (see ram_guard.c)."""
        return self._guard is not None

    def prepare(self) -> None:
        """Write the script; blocks. Raises HostError without QEMU, OSError when the folder cannot be written."""
        self._guard = compiled_guard(self._images[0])
        self._folder.mkdir(parents=True, exist_ok=True)
        root = self._folder / "root"
        root.mkdir(exist_ok=True)
        settings = {
            "emulator": inspect_qemu().path,
            "root": str(root),
            "guard": str(self._guard or ""),
            "disk": _DISK,
            "reads": [*map(str, self._images), str(Path(inspect_qemu().path).parent)],
            "writes": [],
        }
        noted = self._folder / "emulator.json"
        _write(noted, json.dumps(settings, indent=1) + "\n", 0o600)
        script = self._folder / "emulator"
        _write(script, _script(noted), 0o700)
        self._path = str(script) if os.access(script, os.X_OK) else ""


def guard_file(folder: Path) -> Path:
    """Where the compiled guard of templates is, or would be."""
    return folder / f".ram-guard-{hashlib.sha256(_GUARD_SOURCE.read_bytes()).hexdigest()[:12]}.so"


def compiled_guard(folder: Path) -> Path | None:
    """The library that keeps a template's memory whole, compiled when missing; None where there is no compiler."""
    guard = guard_file(folder)
    if guard.exists():
        return guard
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{guard.name}.{os.getpid()}"
    command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(draft), str(_GUARD_SOURCE)]
    try:
        run_tool(command, operation="compile the guard of templates")
        draft.rename(guard)
    except (SkerryError, ImageError, OSError):
        draft.unlink(missing_ok=True)
        return None
    return guard


def _script(settings: Path) -> str:
    """Begins with QEMU's version and time of change: libvirt shall ask again when either is another."""
    qemu = inspect_qemu()
    about = f"# {qemu.version} {Path(qemu.path).stat().st_mtime_ns}"
    words = [sys.executable, "-I", "-S", str(Path(enclosure.__file__)), str(settings)]
    return f'#!/bin/sh\n{about}\nexec {shlex.join(words)} "$@"\n'


def _write(path: Path, text: str, mode: int) -> None:
    with contextlib.suppress(OSError):
        if path.read_text("utf-8") == text:
            return
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text, "utf-8")
    draft.chmod(mode)
    draft.rename(path)
