"""Which walls this host offers around QEMU, each tried in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import SkerryError
from app.sandbox import enclosure
from app.sandbox.emulator import guard_file
from app.sandbox.qemu import inspect_qemu

_SECONDS = 30.0
_TRY = "import enclosure, json; print(json.dumps(enclosure.tried(sys.argv[1])))"
_REMEDIES = {
    "priority": "",
    "namespaces": (
        "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
    ),
    "mounts": "as for namespaces",
    "privileges": "",
    "files": "a kernel from 5.13 on, booted with landlock among its security modules (lsm=landlock,…)",
}


@dataclass(frozen=True, slots=True)
class Wall:
    """One wall: whether it stands around machines of this host, and if not why and what would help."""

    name: str
    on: bool
    why: str
    remedy: str = ""


def walls(images: Path) -> list[Wall]:
    """All of them, QEMU's own filter of system calls too; blocks. ``images`` is where the guard of templates is."""
    return [*_enclosing(), _seccomp(), _guard(images)]


def _enclosing() -> list[Wall]:
    folder = str(Path(enclosure.__file__).parent)
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {folder!r}); {_TRY}"]
    try:
        with tempfile.TemporaryDirectory() as root:
            done = subprocess.run([*command, root], capture_output=True, text=True, timeout=_SECONDS, check=True)
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        found = dict.fromkeys(_REMEDIES, f"could not be tried: {error}")
    return [Wall(name, not why, why or "on", _REMEDIES.get(name, "") if why else "") for name, why in found.items()]


def _seccomp() -> Wall:
    try:
        qemu = inspect_qemu().path
        question = [qemu, "-sandbox", "on,spawn=deny", "-version"]
        done = subprocess.run(question, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (SkerryError, OSError, subprocess.SubprocessError) as error:
        return Wall("system calls", False, str(error), "apt install qemu-system-x86")
    on = done.returncode == 0
    return Wall("system calls", on, "on" if on else "this QEMU was built without seccomp")


def _guard(images: Path) -> Wall:
    on = guard_file(images).exists() or shutil.which("gcc") is not None
    why = "on" if on else "no compiler: machines do not give freed memory back, and can write to their template"
    return Wall("templates", on, why, "" if on else "apt install gcc libc6-dev")
