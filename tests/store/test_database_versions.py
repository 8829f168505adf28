"""A database of an earlier Skerry becomes one of this, with all that was in it."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from app.domain.events import AgentStatus
from app.store.database import SCHEMA_VERSION, open_database
from app.store.journal import Journal
from app.store.memory_revisions import Ledger, Revisions
from app.testing import EventBuilder

OLD_TABLE = """
DROP TABLE memory_revisions;
CREATE TABLE memory_revisions (
  fleet TEXT NOT NULL,
  agent TEXT NOT NULL,
  revision INTEGER NOT NULL,
  at TEXT NOT NULL,
  author TEXT NOT NULL,
  action TEXT NOT NULL,
  content TEXT NOT NULL,
  PRIMARY KEY (fleet, agent, revision)
);
PRAGMA user_version=3;
"""
AT = "2026-11-22T10:00:00+00:00"


def old_database(path: Path) -> None:
    """As schema 3 left it: facts, and the whole text of each revision."""
    journal, make = Journal(path), EventBuilder()
    journal.append(make.run_started("alice"), make.moved("alice", AgentStatus.IDLE))
    journal.close()
    connection = sqlite3.connect(path)
    connection.executescript(OLD_TABLE)
    rows = [("demo", "alice", 1, AT, "agent", "append", "## N\n\na\n")]
    rows += [("demo", "alice", 2, AT, "user", "edit", "## N\n\nä\n"), ("demo", "bob", 1, AT, "agent", "append", "b\n")]
    connection.executemany("INSERT INTO memory_revisions VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()


def test_revisions_of_schema_3_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    old_database(path)
    database = open_database(path)
    assert database.conn.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    revisions = Revisions(Ledger(database), fleet="demo", agent="alice")
    assert [(item.number, item.at.isoformat(), item.change.author) for item in revisions.history()] == [
        (1, AT, "agent"),
        (2, AT, "user"),
    ]
    assert revisions.content(2) == "## N\n\nä\n".encode()
    assert revisions.head().number == 2
    assert Revisions(Ledger(database), fleet="demo", agent="bob").content(1) == b"b\n"
    assert {"memory_revisions_3"} & set(database.table_names()) == set()
    database.close()
    journal = Journal(path)
    assert len(journal.read()) == 2
    journal.close()


def test_many_may_open_an_old_one_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    old_database(path)
    failed: list[BaseException] = []

    def open_it() -> None:
        try:
            open_database(path).close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    database = open_database(path)
    assert len(Revisions(Ledger(database), fleet="demo", agent="alice").history()) == 2
    database.close()
