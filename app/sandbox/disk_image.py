"""File systems made without mounting anything, and the overlays of the machines."""

from __future__ import annotations

import io
import os
import shlex
import tarfile
from pathlib import Path

from app.sandbox.host_tools import find_tool, in_root_namespace, run_tool
from app.sandbox.recipe import guest_paths

_UUID = "5ce44700-0000-4000-8000-000000000001"
_NAMESPACE_HINT = (
    "an ordinary user needs user namespaces and a range of ids in /etc/subuid and /etc/subgid "
    "(apt install uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER)"
)


def guest_files_tar(folder: Path) -> bytes:
    """The files below ``folder`` as a tar owned by root, modes from the executable bit alone, times zero."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(guest_paths(folder)):
            data = path.read_bytes()
            member = tarfile.TarInfo(str(path.relative_to(folder)))
            member.size, member.mode = len(data), 0o755 if os.access(path, os.X_OK) else 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def make_root_disk(work: Path, tars: list[Path], image: Path, size_gib: int) -> None:
    """An ext4 disk with the contents of ``tars``, owners kept. Raises ImageError or HostError."""
    extract = [
        "tar --extract --preserve-permissions --numeric-owner --keep-directory-symlink "
        f"--exclude='./boot/*' --exclude='./dev/*' --file={shlex.quote(str(tar))} --directory=root"
        for tar in tars
    ]
    make = (
        f"{find_tool('mke2fs')} -q -F -t ext4 -m 1 -L skerry -U {_UUID} -J size=16 "
        f"-E hash_seed={_UUID},nodiscard,lazy_itable_init=1 -d root {shlex.quote(str(image))} {size_gib}G"
    )
    script = ["set -e", "trap 'rm -rf root' EXIT", "mkdir root", *extract, make]
    command = in_root_namespace(["sh", "-c", "\n".join(script)])
    run_tool(command, operation="make the disk", hint=_NAMESPACE_HINT if os.geteuid() else "", cwd=work)


def make_pack_disk(folder: Path, image: Path, label: str) -> None:
    """A read-only ext4 disk with the contents of ``folder``, as large as they need."""
    count, size = 0, 0
    for entry in folder.rglob("*"):
        count, size = count + 1, size + (entry.lstat().st_size + 8191 if entry.is_file() else 4096)
    mebibytes = int(size * 1.02 + count * 512) // 2**20 + 16
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", label[:16], "-U", _UUID, "-O", "^has_journal"]
    command += ["-N", str(count + 64), "-E", f"hash_seed={_UUID},nodiscard,root_owner=0:0", "-d", str(folder)]
    run_tool([*command, str(image), f"{mebibytes}M"], operation="make the disk")


def make_overlay(backing: Path, overlay: Path, size_gib: int, backing_format: str = "raw") -> None:
    """A qcow2 disk of ``size_gib`` that starts as ``backing`` and keeps only what differs."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", backing_format, "-b", str(backing)]
    run_tool([*command, str(overlay), f"{size_gib}G"], operation="make the overlay")
    overlay.chmod(0o600)
