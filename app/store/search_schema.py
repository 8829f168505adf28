"""The search index's tables. It is a cache: another version of it, or a damaged one, is made anew.

``docs`` has the texts, in pieces that a person can take in at a glance; ``words`` finds them by word stems, ``grams``
by any three characters (both FTS5 over the texts in ``docs``, https://www.sqlite.org/fts5.html section 4.4.3).
``scope`` are words that name a piece's agents and kind, so that a search within them reads nothing of the others.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from sqlite_utils import Database

from app.domain.errors import JournalError

VERSION = 1
MARKS = ("\x02", "\x03")
"""Around what was found; texts are stored without them."""

_SCHEMA = """
CREATE TABLE sources (
  id INTEGER PRIMARY KEY,
  fleet TEXT NOT NULL,
  agent TEXT NOT NULL,
  path TEXT NOT NULL UNIQUE,
  mtime_ns INTEGER NOT NULL,
  size INTEGER NOT NULL,
  inode INTEGER NOT NULL,
  read_ns INTEGER NOT NULL,
  digest BLOB NOT NULL
);
CREATE TABLE docs (
  id INTEGER PRIMARY KEY,
  source INTEGER NOT NULL,
  kind TEXT NOT NULL,
  fleet TEXT NOT NULL,
  run TEXT NOT NULL,
  agent TEXT NOT NULL,
  at REAL NOT NULL,
  heading TEXT NOT NULL,
  place INTEGER NOT NULL,
  ref TEXT NOT NULL,
  scope TEXT NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX docs_of_source ON docs (source, place) WHERE source<>0;
CREATE TABLE progress (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(
  heading, body, scope, content='docs', content_rowid='id', prefix='2 3 4',
  tokenize='porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE grams USING fts5(
  heading, body, content='docs', content_rowid='id', detail=none, tokenize='trigram'
);
CREATE TRIGGER docs_come AFTER INSERT ON docs BEGIN
  INSERT INTO words (rowid, heading, body, scope) VALUES (NEW.id, NEW.heading, NEW.body, NEW.scope);
  INSERT INTO grams (rowid, heading, body) VALUES (NEW.id, NEW.heading, NEW.body);
END;
CREATE TRIGGER docs_go AFTER DELETE ON docs BEGIN
  INSERT INTO words (words, rowid, heading, body, scope) VALUES ('delete', OLD.id, OLD.heading, OLD.body, OLD.scope);
  INSERT INTO grams (grams, rowid, heading, body) VALUES ('delete', OLD.id, OLD.heading, OLD.body);
END;
"""


def open_index(path: Path) -> Database:
    """The index at ``path``, empty when it is missing, damaged or of another version. Raises JournalError."""
    try:
        try:
            return _open(path)
        except sqlite3.OperationalError:
            raise  # busy, or no room: nothing is wrong with what is there
        except sqlite3.DatabaseError:
            remove_index(path)
            return _open(path)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(
            f"the search index {path} cannot be used: {error}",
            operation="open the search index",
            hint="check the disk's free space and the folder's owner",
        ) from error


def remove_index(path: Path) -> None:
    """Take the index away; who has it open goes on with what was there, and notices."""
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        file.unlink(missing_ok=True)


def scope_word(fleet: str, agent: str) -> str:
    """The word in ``scope`` that stands for an agent: one token for every tokenizer."""
    return "a" + hashlib.sha256(f"{fleet}/{agent}".encode()).hexdigest()[:16]


def scope_of(kind: str, fleet: str, agents: Iterable[str]) -> str:
    """A piece's ``scope``."""
    return " ".join([f"kind{kind}", *(scope_word(fleet, agent) for agent in agents)])


def _open(path: Path) -> Database:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # a cache: what the power takes is indexed again
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}")
        if version == 0:
            for statement in _statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA mmap_size=1073741824")
    except BaseException:
        connection.close()
        raise
    return Database(connection)


def _statements() -> list[str]:
    """One by one: ``executescript`` would end the transaction that two who open at once need."""
    found, part = [], ""
    for line in _SCHEMA.strip().splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            found.append(part)
            part = ""
    return found
