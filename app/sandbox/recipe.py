"""What an image is made from: ``vm_images/<name>/`` on disk, as types, and the hash that names the result."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import ImageError

BUILDER_VERSION = "2"
"""Raised when the builder itself makes something else from the same recipe."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image's recipe; ``key`` is the hash of everything that goes in."""

    name: str
    folder: Path
    suite: str
    disk_gib: int
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    modules: tuple[str, ...]
    key: str

    @property
    def customize(self) -> Path:
        """Shell script run as root on the finished root folder."""
        return self.folder / "customize.sh"

    @property
    def job_source(self) -> Path:
        """C source of the program that runs jobs, compiled in the image."""
        return self.folder / "job.c"

    @property
    def initramfs_init(self) -> Path:
        """The first process of the machine."""
        return self.folder / "initramfs" / "init"

    @property
    def guest_files(self) -> Path:
        """Files copied over the root folder, owned by root."""
        return self.folder / "files"


def load_recipe(recipes: Path, name: str) -> Recipe:
    """Raises ImageError when there is no such recipe or it cannot be read."""
    folder = recipes / name
    try:
        raw = tomllib.loads((folder / "recipe.toml").read_text("utf-8"))
        return Recipe(
            name=name,
            folder=folder,
            suite=str(raw["suite"]),
            disk_gib=int(raw["disk_gib"]),
            packages=tuple(map(str, raw["packages"])),
            exclude=tuple(map(str, raw["exclude"])),
            modules=tuple(map(str, raw["modules"])),
            key=tree_hash(folder),
        )
    except FileNotFoundError as error:
        raise ImageError(f"there is no image called {name!r}", operation="image", hint=f"see {recipes}") from error
    except (tomllib.TOMLDecodeError, KeyError, ValueError, TypeError) as error:
        raise ImageError(f"the recipe of image {name!r} cannot be read: {error}", operation="image") from error


def tree_hash(folder: Path) -> str:
    """Twelve hex digits over names, executable bits and contents of all files below ``folder``."""
    digest = hashlib.sha256(f"builder {BUILDER_VERSION}\n".encode())
    for path in sorted(guest_paths(folder)):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{os.access(path, os.X_OK):d}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()[:12]


def guest_paths(folder: Path) -> list[Path]:
    """Regular files below ``folder`` that belong to a recipe (no byte code, no node_modules, no lock of versions)."""
    skipped = {"__pycache__", "node_modules", "packages.lock"}
    return [p for p in folder.rglob("*") if p.is_file() and not skipped & set(p.relative_to(folder).parts)]
