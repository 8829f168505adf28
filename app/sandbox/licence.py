"""Licences of tool packs that may not be passed on: accepted once by who uses them, on his own machine."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.domain.errors import ImageError


@dataclass(frozen=True, slots=True)
class Licence:
    """What ``licence.toml`` beside a pack's recipe says. ``digest`` changes with the terms."""

    name: str
    publisher: str
    terms: tuple[str, ...]
    """Where the terms can be read."""
    digest: str


def licence_of(recipe: Path) -> Licence | None:
    """The licence to accept before this pack is fetched; None for a free one. Raises ImageError."""
    file = recipe / "licence.toml"
    try:
        raw = file.read_bytes()
        found = tomllib.loads(raw.decode("utf-8"))
        terms = tuple(map(str, found["terms"]))
        return Licence(str(found["name"]), str(found["publisher"]), terms, hashlib.sha256(raw).hexdigest()[:16])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{file} cannot be read: {error}", operation="pack") from error


class Acceptances:
    """The user's acceptances, in a file he can read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def holds(self, pack: str, licence: Licence) -> bool:
        """Whether these very terms were accepted."""
        entry = self._read().get(pack)
        return isinstance(entry, dict) and entry.get("digest") == licence.digest

    def add(self, pack: str, licence: Licence, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Note that the user accepted."""
        entry = {
            "name": licence.name,
            "publisher": licence.publisher,
            "terms": list(licence.terms),
            "digest": licence.digest,
            "accepted_at": now().isoformat(timespec="seconds"),
        }
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(self._read() | {pack: entry}, indent=1) + "\n", "utf-8")
        draft.replace(self._file)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
