"""File systems made without mounting anything, and the overlays of the machines."""

from __future__ import annotations

import io
import os
import re
import shlex
import tarfile
from pathlib import Path

from app.domain.errors import ImageError
from app.sandbox.host_tools import find_tool, in_root_namespace, run_tool
from app.sandbox.recipe import guest_paths

_UUID = "5ce44700-0000-4000-8000-000000000001"
_NOW = "1"
"""What e2fsprogs takes for the time now, in seconds; nought would not count."""
_TIMES = ("atime", "ctime", "mtime", "crtime")
_COUNTS = ("Inode count", "Inodes per group")
_FIRST_INODE = 11  # those below are the file system's own, but for the root folder
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
    hint = _NAMESPACE_HINT if os.geteuid() else ""
    run_tool(command, operation="make the disk", hint=hint, cwd=work, env={"E2FSPROGS_FAKE_TIME": _NOW})
    settle_times(image)


def make_pack_disk(folder: Path, image: Path, label: str) -> None:
    """A read-only ext4 disk with the contents of ``folder``, as large as they need."""
    count, size = 0, 0
    for entry in folder.rglob("*"):
        count, size = count + 1, size + (entry.lstat().st_size + 8191 if entry.is_file() else 4096)
    mebibytes = int(size * 1.02 + count * 512) // 2**20 + 16
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", label[:16], "-U", _UUID, "-O", "^has_journal"]
    command += ["-N", str(count + 64), "-E", f"hash_seed={_UUID},nodiscard,root_owner=0:0", "-d", str(folder)]
    environment = {"E2FSPROGS_FAKE_TIME": _NOW}
    run_tool([*command, str(image), f"{mebibytes}M"], operation="make the disk", env=environment)
    settle_times(image)


def settle_times(image: Path) -> None:
    """Give every inode the same times; takes a fraction of a second. Raises ImageError or HostError.

    mke2fs takes the time of access and change from the files it copies, which nobody can set: two builds of the same
    inputs would differ in nothing else.
    """
    script = image.with_suffix(".times")
    lines = (f"set_inode_field <{number}> {field} 0\n" for number in _used_inodes(image) for field in _TIMES)
    script.write_text("".join(lines), "ascii")
    environment = {"E2FSPROGS_FAKE_TIME": _NOW}
    run_tool(["debugfs", "-w", "-f", str(script), str(image)], operation="make the disk", env=environment)
    script.unlink()


def _used_inodes(image: Path) -> list[int]:
    told = run_tool(["dumpe2fs", str(image)], operation="make the disk", env={"LC_ALL": "C"})
    count, each = (int(re.findall(rf"^{name}:\s+(\d+)$", told, re.MULTILINE)[0]) for name in _COUNTS)
    free: set[int] = set()
    for listed in re.findall(r"^  Free inodes: ?(.*)$", told, re.MULTILINE):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", listed):
            free.update(range(int(first), int(last or first) + 1))
    if count % each:
        raise ImageError("the disk's inodes cannot be counted", operation="make the disk")
    return [number for number in (2, *range(_FIRST_INODE, count + 1)) if number not in free]


def make_overlay(backing: Path, overlay: Path, size_gib: int, backing_format: str = "raw") -> None:
    """A qcow2 disk of ``size_gib`` that starts as ``backing`` and keeps only what differs."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", backing_format, "-b", str(backing)]
    run_tool([*command, str(overlay), f"{size_gib}G"], operation="make the overlay")
    overlay.chmod(0o600)
