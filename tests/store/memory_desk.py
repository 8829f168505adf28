"""A memory file of a test, and a person who edits it with an editor of any kind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from app.domain.memory import Change
from app.store.database import open_database
from app.store.memory import MemoryFile
from app.store.memory_revisions import Ledger

USER = Change("user", "restore")


class MemoryDesk:
    """The memory files of one journal in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = open_database(folder / "state" / "journal.db")
        self.ledger = Ledger(self.database)

    def memory(self, agent: str = "alice", step: Callable[[str], None] = lambda name: None) -> MemoryFile:
        lock = self.folder / "state" / "locks" / f"{agent}.lock"
        path = self.folder / agent / "memory.md"
        return MemoryFile(path, self.ledger, fleet="demo", agent=agent, lock=lock, step=step)

    def close(self) -> None:
        self.database.close()


def rewrite(path: Path, text: bytes) -> None:
    """As nano and VS Code do: the same file, truncated and written."""
    path.write_bytes(text)


def rename_over(path: Path, text: bytes) -> None:
    """As gedit, sed -i and vim's backupcopy=no do: a new file takes its name."""
    new = path.with_name("new~")
    new.write_bytes(text)
    new.replace(path)


def move_away(path: Path, text: bytes) -> None:
    """As vim does: the old file becomes the backup, a new one is made."""
    if path.exists():
        path.rename(path.with_name("memory.md~"))
    path.write_bytes(text)


def in_pieces(path: Path, text: bytes) -> None:
    """Truncate, then write bit by bit, synced."""
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(text), 16):
            file.write(text[start : start + 16])
            os.fsync(file.fileno())


EDITORS = (rewrite, rename_over, move_away, in_pieces)
