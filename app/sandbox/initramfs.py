"""A small initramfs of our own: busybox, the virtio drivers in their order, one script."""

from __future__ import annotations

import gzip
import stat
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.domain.errors import ImageError


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a cpio archive; ``device`` is (major, minor) of a device node."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def cpio(entries: Sequence[Entry]) -> bytes:
    """A 'newc' archive, owned by root, all times zero."""
    parts = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join([*parts, _record(0, Entry("TRAILER!!!", 0))])


def _record(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(header) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def build_initramfs(root: tarfile.TarFile, init: bytes, modules: Sequence[str]) -> bytes:
    """The initramfs for the kernel in a root tar. Raises ImageError when a driver is not in it."""
    files = _member_data(root, modules)
    order = [PurePosixPath(path).name for path in files if path.endswith(".ko")]
    folders = ["bin", "dev", "proc", "sys", "root", "modules"]
    entries = [Entry(folder, stat.S_IFDIR | 0o755) for folder in folders]
    entries += [
        Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("bin/busybox", stat.S_IFREG | 0o755, files["busybox"]),
        Entry("init", stat.S_IFREG | 0o755, init),
        Entry("modules/order", stat.S_IFREG | 0o644, "\n".join(order).encode() + b"\n"),
    ]
    entries += [
        Entry(f"modules/{PurePosixPath(path).name}", stat.S_IFREG | 0o644, data)
        for path, data in files.items()
        if path.endswith(".ko")
    ]
    return gzip.compress(cpio(entries), compresslevel=6, mtime=0)


def _member_data(root: tarfile.TarFile, modules: Sequence[str]) -> dict[str, bytes]:
    dependencies, base = _dependencies(root)
    built_in = _read(root, f"{base}/modules.builtin").decode()
    found: dict[str, bytes] = {"busybox": _read(root, _busybox(root))}
    for module in modules:
        if _module_name(module) in map(_module_name, built_in.split()):
            continue
        path = next((p for p in dependencies if _module_name(p) == _module_name(module)), None)
        if path is None:
            raise ImageError(f"the kernel of the image has no module {module}", operation="initramfs")
        for needed in [*reversed(dependencies[path]), path]:
            found.setdefault(needed, _read(root, f"{base}/{needed}"))
    return found


def _module_name(path: str) -> str:
    """Files are called with a dash or an underscore, as their authors liked."""
    return PurePosixPath(path).stem.replace("-", "_")


def _dependencies(root: tarfile.TarFile) -> tuple[dict[str, list[str]], str]:
    """modules.dep as {module: what it needs}, and the folder it stands in."""
    name = next((n for n in root.getnames() if n.endswith("/modules.dep")), None)
    if name is None:
        raise ImageError("the image has no kernel modules", operation="initramfs")
    lines = _read(root, name).decode().splitlines()
    return {line.split(":")[0]: line.split(":")[1].split() for line in lines}, name.rpartition("/")[0]


def _busybox(root: tarfile.TarFile) -> str:
    names = ("./bin/busybox", "./usr/bin/busybox")
    return next((name for name in names if name in root.getnames()), names[0])


def _read(root: tarfile.TarFile, name: str) -> bytes:
    file = root.extractfile(name)
    if file is None:
        raise ImageError(f"{name} is not a file", operation="initramfs")
    return file.read()
