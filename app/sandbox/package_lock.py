"""The versions of the Debian packages that the last good build of an image had, kept beside its recipe.

Debian's archive holds only the newest version of a package, so the lock cannot pin: it tells what a build has that was
not there when its makers tested it. It does not count for the image's key, or the archive's next update would change
the name of an image that nobody changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

LOCK = "packages.lock"
_NAMED = 5


def lock_file(recipe: Path) -> Path:
    """One ``name=version`` a line."""
    return recipe / LOCK


def write_lock(recipe: Path, image: Path) -> int:
    """Write down what ``image`` has; the number of packages."""
    built = _built(image)
    lock_file(recipe).write_text("".join(f"{name}={version}\n" for name, version in sorted(built.items())), "utf-8")
    return len(built)


def drift_from_lock(recipe: Path, image: Path) -> str:
    """In words, how the image's packages differ from the lock; empty when they do not, or there is no lock."""
    try:
        lines = lock_file(recipe).read_text("utf-8").split()
    except FileNotFoundError:
        return ""
    locked, built = dict(line.split("=", 1) for line in lines if "=" in line), _built(image)
    changed = sorted(name for name in locked.keys() | built.keys() if locked.get(name) != built.get(name))
    if not changed:
        return ""
    words = [f"{name} {built.get(name, 'is gone')}" for name in changed[:_NAMED]]
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return f"{len(changed)} packages are not the versions of {LOCK}: {', '.join(words)}{more}"


def _built(image: Path) -> Mapping[str, str]:
    manifest = json.loads((image / "manifest.json").read_text("utf-8"))
    return {str(name): str(version) for name, version in manifest["packages"].items()}
