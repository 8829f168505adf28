"""Programs of the host that the sandbox needs, each with the Debian package that brings it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.domain.errors import HostError, ImageError

PACKAGES: Mapping[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "lz4": "lz4",
    "unshare": "util-linux",
    "newuidmap": "uidmap",
    "tar": "tar",
    "git": "git",
    "npm": "npm",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
}
_SEARCH = os.pathsep.join(["/usr/local/sbin", "/usr/sbin", "/sbin"])
_TAIL_LINES = 15


def find_tool(name: str) -> str:
    """Path of a program. Raises HostError naming the package to install."""
    path = shutil.which(name) or shutil.which(name, path=_SEARCH)
    if path is None:
        package = PACKAGES.get(name, name)
        raise HostError(f"{name} is not installed", operation="host tools", hint=f"apt install {package}")
    return path


def missing_tools() -> dict[str, str]:
    """Programs that are not there, each with its Debian package."""
    return {name: package for name, package in PACKAGES.items() if not _installed(name)}


def _installed(name: str) -> bool:
    return bool(shutil.which(name) or shutil.which(name, path=_SEARCH))


def run_tool(
    command: Sequence[str],
    *,
    operation: str,
    hint: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run a program to its end and return what it printed, both streams together.

    Raises HostError when it is not installed and ImageError with its last lines when it fails.
    """
    argv = [find_tool(command[0]), *command[1:]]
    lines: list[str] = []
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if on_line is not None:
                on_line(line.rstrip())
    if process.returncode != 0:
        tail = "\n".join(lines[-_TAIL_LINES:])
        message = f"{command[0]} failed with status {process.returncode}:\n{tail}"
        raise ImageError(message, operation=operation, hint=hint)
    return "\n".join(lines)


def in_root_namespace(command: Sequence[str]) -> list[str]:
    """The command as one that runs as root of a user namespace, unless we are root: files keep their owners in it."""
    if os.geteuid() == 0:
        return list(command)
    return ["unshare", "--user", "--map-root-user", "--map-auto", "--", *command]


def require_space(folder: Path, needed: int, operation: str) -> None:
    """Raises HostError when the file system of ``folder`` has less than ``needed`` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise HostError(
            f"{folder} has {free / 2**30:.1f} GiB left and {needed / 2**30:.1f} GiB are needed",
            operation=operation,
            hint="free disk space, or move the folder to a larger disk",
        )
