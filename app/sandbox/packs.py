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
from app.sandbox.image import build_folder, publish
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

    def __init__(self, images_dir: Path, packs_dir: Path) -> None:
        self._images, self._packs = images_dir, packs_dir

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
    manifest = {"name": name, "key": key, "packages": versions}
    (work / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", "utf-8")


def _versions(staging: Path) -> dict[str, str]:
    lock = json.loads((staging / "package-lock.json").read_text("utf-8"))
    packages = lock.get("packages", {})
    return {
        path.removeprefix("node_modules/"): str(entry.get("version", "")) for path, entry in packages.items() if path
    }
