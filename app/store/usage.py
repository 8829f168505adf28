"""What machines take of this host, the newest figures only: not facts, a table that is written over."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.domain.errors import JournalError
from app.store.database import open_database

FRESH = timedelta(seconds=30)
"""Older figures are not shown."""
_FORGOTTEN = timedelta(hours=1)
_UPSERT = """
INSERT INTO machine_usage (machine, at, cpu_percent, memory_bytes, disk_bytes) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (machine) DO UPDATE SET at=excluded.at, cpu_percent=excluded.cpu_percent,
  memory_bytes=excluded.memory_bytes, disk_bytes=excluded.disk_bytes
"""


@dataclass(frozen=True, slots=True)
class UsageSample:
    """One machine at one moment. ``cpu_percent``: 100 is one processor; None until there are two samples."""

    machine: str
    at: datetime
    cpu_percent: float | None
    memory_bytes: int
    disk_bytes: int


class UsageTable:
    """Writes samples. Nothing is lost with them, so they do not wait for the disk."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path)
        self._db.conn.execute("PRAGMA synchronous=NORMAL")

    def put(self, samples: Sequence[UsageSample], now: datetime) -> None:
        """Replace the figures of these machines, forget those nobody measured for an hour. Raises JournalError."""
        rows = [(s.machine, s.at.isoformat(), s.cpu_percent, s.memory_bytes, s.disk_bytes) for s in samples]
        connection = self._db.conn
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_UPSERT, rows)
            connection.execute("DELETE FROM machine_usage WHERE at < ?", ((now - _FORGOTTEN).isoformat(),))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise JournalError(f"the figures of machines were not taken: {error}", operation="measure") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def read_usage(path: Path, now: datetime | None = None) -> dict[str, UsageSample]:
    """The fresh figures by machine; empty when there are none, or no file."""
    if not path.exists():
        return {}
    since = ((now or datetime.now(UTC)) - FRESH).isoformat()
    query = "SELECT machine, at, cpu_percent, memory_bytes, disk_bytes FROM machine_usage WHERE at >= ?"
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        rows = connection.execute(query, (since,)).fetchall()
    except sqlite3.OperationalError:
        return {}  # written by a Skerry that measured nothing
    finally:
        connection.close()
    return {row[0]: UsageSample(row[0], datetime.fromisoformat(row[1]), row[2], row[3], row[4]) for row in rows}
