"""What Skerry itself put into a folder of this host, so that it never touches what the user put there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from app.sandbox.tree import Parts

SAME_TIME_NS = 2000
"""Two times this near are the same: archives keep them as floating point."""

Look = tuple[int, int]
"""Size in bytes and time of change in nanoseconds of a file; (-1, 0) for a folder or a link."""
OTHER: Look = (-1, 0)


class Manifest:
    """Kept in a file of ``folder``, one for each mirrored ``destination``; outlives the machines."""

    def __init__(self, folder: Path, destination: Path) -> None:
        self._destination = str(destination.resolve())
        self._file = (
            folder / f"{hashlib.sha256(self._destination.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.json"
        )
        self._known = self._load()

    @property
    def paths(self) -> list[str]:
        """What was brought out, or pushed in."""
        return list(self._known)

    def look(self, path: str) -> list[Look]:
        """How the file may look if it is still what we wrote; empty when it is not ours."""
        return self._known.get(path, [])

    def is_ours(self, parts: Parts, found: os.stat_result) -> bool:
        """Whether what is there is what we put there, and not the user's work."""
        looks = self._known.get("/".join(parts))
        if looks is None:
            return False
        if not stat.S_ISREG(found.st_mode):
            return True
        return any(
            size == found.st_size and abs(time - found.st_mtime_ns) <= SAME_TIME_NS for size, time in looks if size >= 0
        )

    def keep(self, known: Mapping[str, Iterable[Look]]) -> None:
        """This and nothing else is ours from now on. Writes only when something changed."""
        wanted = {path: sorted(set(looks)) for path, looks in known.items()}
        if wanted == self._known:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps({"destination": self._destination, "known": wanted}), "utf-8")
        draft.chmod(0o600)
        draft.replace(self._file)
        self._known = wanted

    def _load(self) -> dict[str, list[Look]]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            known = json.loads(self._file.read_text("utf-8"))["known"]
            return {str(path): [(int(size), int(time)) for size, time in looks] for path, looks in known.items()}
        return {}
