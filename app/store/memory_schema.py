"""The table of revisions: who changed a memory, when, why and in which turn, and all that ever stood in it.

A revision's content is the first ``head`` and the last ``tail`` bytes of the one before, with ``body`` (zlib) between;
one in ``WHOLE_EVERY`` is whole (``head`` and ``tail`` 0). ``state``: ``pending`` (about to become the file),
``unmerged`` (found; what the agent wrote is yet to be brought in) or ``kept``.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib

WHOLE_EVERY = 50

REVISIONS_SCHEMA = """
CREATE TABLE IF NOT EXISTS memory_revisions (
  fleet TEXT NOT NULL,
  agent TEXT NOT NULL,
  revision INTEGER NOT NULL,
  at TEXT NOT NULL,
  author TEXT NOT NULL,
  action TEXT NOT NULL,
  heading TEXT NOT NULL,
  why TEXT NOT NULL,
  run TEXT NOT NULL,
  turn INTEGER NOT NULL,
  change_id TEXT NOT NULL,
  origin TEXT NOT NULL,
  state TEXT NOT NULL,
  inode INTEGER NOT NULL,
  resolves INTEGER NOT NULL,
  dispute TEXT NOT NULL,
  told INTEGER NOT NULL,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  head INTEGER NOT NULL,
  tail INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (fleet, agent, revision)
);
CREATE INDEX IF NOT EXISTS memory_changes ON memory_revisions (fleet, agent, change_id) WHERE change_id<>'';
CREATE INDEX IF NOT EXISTS memory_states ON memory_revisions (fleet, agent, state) WHERE state<>'kept';
"""

SET_OLD_REVISIONS_ASIDE = "ALTER TABLE memory_revisions RENAME TO memory_revisions_3;"
_COPIED = """
INSERT INTO memory_revisions VALUES (?, ?, ?, ?, ?, ?, '', '', '', 0, '', '', 'kept', 0, 0, '', 1, ?, ?, 0, 0, ?)
"""


def has_old_revisions(connection: sqlite3.Connection) -> bool:
    """Whether the table is that of schema 3, with each content as text."""
    return any(row[1] == "content" for row in connection.execute("PRAGMA table_info(memory_revisions)"))


def take_old_revisions(connection: sqlite3.Connection) -> None:
    """Bring what schema 3 kept into the new table, within the transaction that is open."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name='memory_revisions_3'").fetchone() is None:
        return
    query = "SELECT fleet, agent, revision, at, author, action, content FROM memory_revisions_3"
    for *who, content in connection.execute(query):
        data = str(content).encode("utf-8", errors="surrogateescape")
        connection.execute(_COPIED, (*who, len(data), hashlib.sha256(data).hexdigest(), zlib.compress(data)))
    connection.execute("DROP TABLE memory_revisions_3")
