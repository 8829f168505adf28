"""Open Skerry's SQLite files: WAL, FULL durability, private to the user, one schema version."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from app.domain.errors import JournalError
from app.store.memory_schema import (
    REVISIONS_SCHEMA,
    SET_OLD_REVISIONS_ASIDE,
    has_old_revisions,
    take_old_revisions,
)
from app.store.messages_schema import MESSAGES_SCHEMA
from app.store.transcripts_schema import TRANSCRIPTS_SCHEMA

SCHEMA_VERSION = 5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  at TEXT NOT NULL,
  fleet TEXT NOT NULL,
  run TEXT NOT NULL,
  agent TEXT NOT NULL,
  kind TEXT NOT NULL,
  json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (fleet, run, agent, kind, seq);
CREATE TABLE IF NOT EXISTS bodies (id TEXT PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS machine_usage (
  machine TEXT PRIMARY KEY,
  at TEXT NOT NULL,
  cpu_percent REAL,
  memory_bytes INTEGER NOT NULL,
  disk_bytes INTEGER NOT NULL
);
"""


def open_database(path: Path) -> Database:
    """The database at ``path`` for writing, made when missing (mode 0600).

    Raises JournalError when the file cannot be opened, is damaged, or was written by a newer Skerry.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_private(path)
        connection = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL: an acknowledged fact survives the power going, not only a killed process (DESIGN.md section 7).
        connection.execute("PRAGMA synchronous=FULL")
        _migrate(connection, path)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(
            f"cannot open {path}: {error}", operation="open the journal", hint="check the disk, and the folder's owner"
        ) from error
    return Database(connection)


def _make_private(path: Path) -> None:
    """Make the file with mode 0600 when it is missing; the log files beside it get the same mode from SQLite.

    A file that is there is never opened by us: closing such a handle would drop the locks this process's other
    connections hold (POSIX), and another process could then remove the log under them.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"{path} was written by a newer Skerry (schema {version}, known: {SCHEMA_VERSION})",
            operation="open the journal",
            hint="start that version, or move the file away to begin a new journal",
        )
    if version < SCHEMA_VERSION:
        _raise_version(connection)


def _raise_version(connection: sqlite3.Connection) -> None:
    """In one transaction: two processes may do it at the same time, and a kill leaves the old version."""
    connection.execute("BEGIN IMMEDIATE")
    if int(connection.execute("PRAGMA user_version").fetchone()[0]) < SCHEMA_VERSION:
        if has_old_revisions(connection):
            connection.execute(SET_OLD_REVISIONS_ASIDE)
        for statement in _statements(_SCHEMA + REVISIONS_SCHEMA + MESSAGES_SCHEMA + TRANSCRIPTS_SCHEMA):
            connection.execute(statement)
        take_old_revisions(connection)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """One by one: ``executescript`` would end the transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
