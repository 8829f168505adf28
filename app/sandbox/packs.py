"""Tool packs: programs from the npm registry on a read-only disk that all machines share.

``vm_images/packs/<name>/`` holds package.json, package-lock.json and whatever else belongs on the disk;
``layout.sh``, if there is one, is run where npm has installed and leaves what the disk is to hold, programs in
``bin/``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import ImageError
from app.domain.ports import Progress
from app.sandbox.disk_image import make_pack_disk
from app.sandbox.host_tools import require_space, run_tool
from app.sandbox.image import build_folder, publish, write_manifest
from app.sandbox.licence import Acceptances, Licence, licence_of
from app.sandbox.recipe import guest_paths, tree_hash

_SPACE_NEEDED = 4 * 2**30
_NAME_LIMIT = 14  # the serial number of a virtio disk has 20 characters, "pack-" among them


@dataclass(frozen=True, slots=True)
class Pack:
    """A finished pack; its disk never changes."""

    name: str
    key: str
    folder: Path

    @property
    def disk(self) -> Path:
        """Raw ext4, read-only."""
        return self.folder / "pack.img"


class PackBuilder:
    """Builds what is missing below ``images_dir`` from the recipes below ``packs_dir``."""

    def __init__(self, images_dir: Path, packs_dir: Path, acceptances: Acceptances | None = None) -> None:
        """``acceptances``: without it no pack is built whose licence must be accepted."""
        self._images, self._packs, self._acceptances = images_dir, packs_dir, acceptances

    def licence(self, name: str) -> Licence | None:
        """The licence that must be accepted before the pack is fetched, and was not yet."""
        licence = licence_of(self._packs / name)
        if licence is None or (self._acceptances is not None and self._acceptances.holds(name, licence)):
            return None
        return licence

    def accept(self, name: str) -> None:
        """The user accepts the pack's licence."""
        if self._acceptances is not None and (licence := licence_of(self._packs / name)) is not None:
            self._acceptances.add(name, licence)

    def names(self) -> list[str]:
        """Tool packs there are recipes for."""
        return sorted(file.parent.name for file in self._packs.glob("*/package.json"))

    def find(self, name: str) -> Pack | None:
        """The pack of today's recipe if it is built. Raises ImageError when there is no such recipe."""
        recipe = self._packs / name
        if len(name) > _NAME_LIMIT or not (recipe / "package.json").is_file():
            raise ImageError(f"there is no tool pack called {name!r}", operation="pack", hint=f"see {self._packs}")
        key = tree_hash(recipe)
        folder = self._images / f"pack-{name}-{key}"
        return Pack(name, key, folder) if (folder / "manifest.json").is_file() else None

    def ensure(self, name: str, progress: Progress) -> Pack:
        """The pack, built now if need be (minutes, hundreds of megabytes); blocks. Raises ImageError or HostError."""
        if (pack := self.find(name)) is not None:
            return pack
        if (licence := self.licence(name)) is not None:
            message = f"{licence.name} is of {licence.publisher}, under a licence that was not accepted yet"
            hint = f"skerry image build --pack {name}"
            raise ImageError(message, operation=f"fetch tool pack {name}", hint=hint)
        key = tree_hash(self._packs / name)
        with build_folder(self._images, f"pack-{name}-{key}") as (work, final):
            if not final.exists():
                require_space(self._images, _SPACE_NEEDED, "pack")
                _build(self._packs / name, name, key, work, progress)
                publish(work, final)
        return Pack(name, key, final)


def _build(recipe: Path, name: str, key: str, work: Path, progress: Progress) -> None:
    staging = work / "staging"
    for path in guest_paths(recipe):
        target = staging / path.relative_to(recipe)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    progress(f"tool pack {name}: fetching from the npm registry (a few minutes, once)")
    run_tool(
        ["npm", "ci", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", "--loglevel=error"],
        operation=f"install tool pack {name}",
        hint="the npm registry must be reachable; `npm ping` shows whether it is",
        cwd=staging,
    )
    versions = _versions(staging)
    if (layout := staging / "layout.sh").exists():
        run_tool(["sh", str(layout)], operation=f"lay out tool pack {name}", cwd=staging)
        layout.unlink()
    progress(f"tool pack {name}: making the disk")
    make_pack_disk(staging, work / "pack.img", name)
    shutil.rmtree(staging)
    write_manifest(work, {"name": name, "key": key, "packages": versions})


def _versions(staging: Path) -> dict[str, str]:
    lock = json.loads((staging / "package-lock.json").read_text("utf-8"))
    packages = lock.get("packages", {})
    return {
        path.removeprefix("node_modules/"): str(entry.get("version", "")) for path, entry in packages.items() if path
    }
