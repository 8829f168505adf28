"""Images: built once from ``vm_images/<name>/``, named by the hash of what they were built from."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import ImageError
from app.domain.ports import Progress
from app.sandbox.apt_sources import acquire_options, debian_sources
from app.sandbox.disk_image import guest_files_tar, make_root_disk
from app.sandbox.host_tools import require_space, run_tool
from app.sandbox.initramfs import build_initramfs
from app.sandbox.kernel import unpack_kernel
from app.sandbox.recipe import Recipe, load_recipe

_DULL = ("tempdir", "chroot architecture", "signed-by", "hook", "success", "done")
_SPACE_NEEDED = 4 * 2**30
USERS = ".users"
"""Folder, beside the images, of the notes where machines are that stand on them."""


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image; nothing in its folder ever changes."""

    name: str
    key: str
    folder: Path
    disk_gib: int

    @property
    def kernel(self) -> Path:
        """Uncompressed kernel."""
        return self.folder / "vmlinux"

    @property
    def initramfs(self) -> Path:
        """Compressed cpio archive."""
        return self.folder / "initramfs"

    @property
    def rootfs(self) -> Path:
        """Raw ext4 disk, sparse, the backing of every machine's overlay."""
        return self.folder / "rootfs.img"


class ImageBuilder:
    """Builds what is missing below ``images_dir`` from the recipes below ``recipes_dir``."""

    def __init__(self, images_dir: Path, recipes_dir: Path) -> None:
        self._images, self._recipes = images_dir, recipes_dir

    @property
    def folder(self) -> Path:
        """Where finished images are."""
        return self._images

    def register(self, machines: Path) -> None:
        """Let all who share the images know of a folder whose machines stand on them."""
        users = self._images / USERS
        users.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = users / hashlib.sha256(os.fsencode(machines)).hexdigest()[:16]
        if not note.exists():
            draft = note.with_suffix(f".{secrets.token_hex(4)}")
            draft.write_bytes(os.fsencode(machines))
            draft.replace(note)

    def names(self) -> list[str]:
        """Images there are recipes for."""
        return sorted(file.parent.name for file in self._recipes.glob("*/recipe.toml"))

    def find(self, name: str) -> Image | None:
        """The image of today's recipe if it is built. Raises ImageError when there is no such recipe."""
        recipe = load_recipe(self._recipes, name)
        folder = self._images / f"{name}-{recipe.key}"
        return Image(name, recipe.key, folder, recipe.disk_gib) if (folder / "manifest.json").is_file() else None

    def ensure(self, name: str, progress: Progress) -> Image:
        """The image, built now if need be (minutes); blocks. Raises ImageError or HostError."""
        if (image := self.find(name)) is not None:
            return image
        recipe = load_recipe(self._recipes, name)
        with build_folder(self._images, f"{name}-{recipe.key}") as (work, final):
            if not final.exists():
                require_space(self._images, _SPACE_NEEDED, "image")
                _build(recipe, work, progress)
                publish(work, final)
        return Image(name, recipe.key, final, recipe.disk_gib)


@contextlib.contextmanager
def build_folder(images: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """A private folder to build in and the place to publish to, one builder at a time; the rest is swept."""
    images.mkdir(parents=True, exist_ok=True)
    with (images / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in images.glob(f".{name}.build-*"):
            shutil.rmtree(stale, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{name}.build-", dir=images))
        try:
            yield work, images / name
        finally:
            shutil.rmtree(work, ignore_errors=True)


def publish(work: Path, final: Path) -> None:
    """Make the folder's files read-only and durable, then give it its name in one step."""
    for path in work.iterdir():
        if path.is_file():
            path.chmod(0o444)
            with path.open("rb") as file:
                os.fsync(file.fileno())
    work.chmod(0o755)
    work.rename(final)


def write_manifest(work: Path, facts: dict[str, object]) -> None:
    """What was built, and the digests of its files: two builds of the same can be compared."""
    digests = {}
    for path in sorted(path for path in work.iterdir() if path.is_file()):
        with path.open("rb") as file:
            digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    text = json.dumps(facts | {"sha256": digests}, indent=1, sort_keys=True) + "\n"
    (work / "manifest.json").write_text(text, "utf-8")


def _build(recipe: Recipe, work: Path, progress: Progress) -> None:
    base, ours = work / "base.tar", work / "guest.tar"
    progress(f"image {recipe.name}: installing Debian {recipe.suite} (a few minutes, once)")
    _bootstrap(recipe, work, base, progress)
    progress(f"image {recipe.name}: unpacking the kernel")
    try:
        versions = _kernel_and_versions(recipe, base, work)
    except KeyError as error:
        raise ImageError(f"the installed system lacks a file: {error}", operation="image") from error
    progress(f"image {recipe.name}: making the disk")
    ours.write_bytes(guest_files_tar(recipe.guest_files))
    make_root_disk(work, [base, ours], work / "rootfs.img", recipe.disk_gib)
    base.unlink()
    ours.unlink()
    write_manifest(work, {"name": recipe.name, "key": recipe.key, "suite": recipe.suite, "packages": versions})


def _bootstrap(recipe: Recipe, work: Path, base: Path, progress: Progress) -> None:
    command = ["mmdebstrap", "--variant=minbase", "--format=tar", f"--mode={'unshare' if os.geteuid() else 'root'}"]
    command += [f"--include={','.join(recipe.packages)}", f"--customize-hook=upload {recipe.job_source} /tmp/job.c"]
    # The script itself, not its path: in a user namespace our home folder cannot be entered.
    command += [f"--customize-hook={recipe.customize.read_text('utf-8')}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.exclude]
    command += [f"--aptopt={option}" for option in acquire_options()]
    command += [recipe.suite, str(base), *_source_files(recipe.suite, work)]
    # INITRD=No: Debian's own initramfs would be made and never used.
    run_tool(
        command,
        operation="install Debian",
        hint="the package sources must be reachable; `apt update` shows whether they are",
        env={"INITRD": "No", "SOURCE_DATE_EPOCH": "0"},
        on_line=lambda line: _tell(line, recipe.name, progress),
    )


def _tell(line: str, name: str, progress: Progress) -> None:
    if line.startswith("I: ") and not any(dull in line for dull in _DULL):
        progress(f"image {name}: {line.removeprefix('I: ')}")


def _source_files(suite: str, work: Path) -> list[str]:
    found = []
    for name, text in zip(("host.list", "host.sources"), debian_sources(suite), strict=True):
        if text:
            (work / name).write_text(text, "utf-8")
            found.append(str(work / name))
    return found


def _kernel_and_versions(recipe: Recipe, base: Path, work: Path) -> dict[str, str]:
    with tarfile.open(base, "r:") as root:
        vmlinuz = next((name for name in root.getnames() if name.startswith("./boot/vmlinuz-")), "./boot/vmlinuz")
        unpack_kernel(_read(root, vmlinuz), work / "vmlinux")
        init = recipe.initramfs_init.read_bytes()
        (work / "initramfs").write_bytes(build_initramfs(root, init, recipe.modules))
        status = _read(root, "./var/lib/dpkg/status").decode("utf-8")
    for name in ("host.list", "host.sources"):
        (work / name).unlink(missing_ok=True)
    fields = [dict(line.split(": ", 1) for line in s.splitlines() if ": " in line) for s in status.split("\n\n")]
    return {f["Package"]: f["Version"] for f in fields if "Package" in f and "Version" in f}


def _read(root: tarfile.TarFile, name: str) -> bytes:
    file = root.extractfile(name)
    if file is None:
        raise ImageError(f"{name} is not a file", operation="image")
    return file.read()
