"""The memories of a project's agents, for the user: at work or not, with or without an engine.

All of ours who write a memory file take turns by its lock, so nothing an agent writes at the same time is lost.
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from app.config import Paths, Project
from app.domain.errors import ActionRefused
from app.domain.memory import Change, Dispute, Revision
from app.domain.notes import readable
from app.store.database import open_database
from app.store.memory import MemoryFile
from app.store.memory_export import MAX_EXPORT_BYTES, export_lines, read_export
from app.store.memory_revisions import Ledger

CONTEXT_LINES = 3


class Memory:
    """One agent's memory. Its methods raise ActionRefused, NotFound or JournalError."""

    def __init__(self, file: MemoryFile, *, fleet: str, agent: str) -> None:
        self._file = file
        self._fleet, self._agent = fleet, agent

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def read(self, revision: int | None = None) -> bytes:
        """The file as it is, or as it was."""
        return self._file.read_bytes() if revision is None else self._file.content(revision)

    def history(self) -> list[Revision]:
        """All revisions, oldest first."""
        return self._file.history()

    def disputes(self) -> list[Dispute]:
        """Lines that user and agent both rewrote, about which the user has not been asked yet."""
        return self._file.disputes()

    def diff(self, before: int | None = None, after: int | None = None) -> str:
        """A unified diff of two revisions; default: what the newest changed.

        With ``before`` alone: what changed since.
        """
        newest = self.history()[-1].number if self.history() else 0
        new = newest if after is None else after
        old = new - 1 if before is None else before
        one, other = (readable(self._file.content(number) if number else b"").splitlines() for number in (old, new))
        names = (f"revision {old}", f"revision {new}")
        return "\n".join(difflib.unified_diff(one, other, *names, n=CONTEXT_LINES, lineterm=""))

    def restore(self, revision: int, why: str = "") -> Revision:
        """Make the file what it was at ``revision``; what it is now stays in the history."""
        self._file.restore(revision, Change("user", "restore", why=why))
        return self.history()[-1]

    def export(self) -> bytes:
        """The memory with its history as one file."""
        revisions = self.history()
        kept = ((item, self._file.content(item.number)) for item in revisions)
        return b"".join(export_lines(self._agent, self._fleet, kept, len(revisions), datetime.now(UTC)))

    def bring_in(self, source: Path, why: str = "") -> Revision:
        """Make the file what an exported one holds, whose history follows ours; nothing of ours goes."""
        words = why or f"from {source.name}"
        found = read_export(_read(source))
        self._file.take_over(found.content, Change("user", "import", why=words), found.history)
        return self.history()[-1]


@contextmanager
def open_memory(paths: Paths, project: Project, agent: str) -> Iterator[Memory]:
    """The memory of an agent of the project. Raises NotFound for one that is none."""
    spec = project.fleet.agent(agent)
    paths.prepare()
    database = open_database(paths.journal_db)
    fleet = project.fleet_id
    try:
        lock = paths.memory_lock(fleet, agent)
        place = project.memory_file(spec)
        yield Memory(MemoryFile(place, Ledger(database), fleet=fleet, agent=agent, lock=lock), fleet=fleet, agent=agent)
    finally:
        database.close()


def _read(source: Path) -> bytes:
    try:
        found = source.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_EXPORT_BYTES:
            raise ActionRefused(
                f"{source} is no file that can be imported",
                operation="import memory",
                hint="take one that 'skerry memory export' wrote",
            )
        return source.read_bytes()
    except OSError as error:
        raise ActionRefused(
            f"{source} cannot be read: {error.strerror}", operation="import memory", hint="name a file that is there"
        ) from error
