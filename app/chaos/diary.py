"""What an agent has seen and was told, on the disk before it goes on: the other side of the journal's story."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

What = Literal["told", "seen", "turn"]


@dataclass(frozen=True, slots=True)
class Entry:
    """``told``: what became of the message with that ``key``; ``seen``: a message's text; ``turn``: it ended."""

    what: What
    turn: int
    key: str = ""
    id: str = ""
    words: str = ""


class Diary:
    """One file for each agent; a line that a kill cut short counts for nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def add(self, *entries: Entry) -> None:
        """Write and wait for the disk."""
        handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # The newline comes first as well: what follows a torn line is a line of its own.
            os.write(handle, "".join(f"\n{json.dumps(asdict(entry))}\n" for entry in entries).encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def entries(self) -> list[Entry]:
        """All whole entries, oldest first."""
        if not self._file.exists():
            return []
        return [entry for line in self._file.read_text().splitlines() if (entry := _entry(line))]


def _entry(line: str) -> Entry | None:
    try:
        return Entry(**json.loads(line)) if line else None
    except (ValueError, TypeError):
        return None
