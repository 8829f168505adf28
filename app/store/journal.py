"""The append-only record of facts, and the bodies that workflows name by id."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from app.domain.errors import JournalError, NotFound
from app.domain.events import Event, RunStarted, dump_event, parse_event
from app.store.database import open_database

T = TypeVar("T", bound=BaseModel)
Listener = Callable[[Sequence[Event]], None]
log = logging.getLogger(__name__)

_INSERT = "INSERT OR IGNORE INTO events (id, at, fleet, run, agent, kind, json) VALUES (?, ?, ?, ?, ?, ?, ?)"


class Journal:
    """Writes and reads facts. One object may be used from any thread; each call is one short transaction."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path)
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called with every batch appended through this object, once it is durable.

        It is called in the thread that appends, and must be quick. A batch may hold facts that were known already.
        """
        self._listeners.append(listener)

    def append(self, *events: Event, lazily: bool = False) -> None:
        """Write facts; durable when it returns. A fact whose id is known already is dropped.

        ``lazily``: a killed process loses none of them, a power cut those that came after the last durable write. For
        what nobody was told is on record, and what is right to happen again.
        """
        rows = [(e.id, e.at.isoformat(), e.fleet, e.run, e.agent, e.kind, dump_event(e)) for e in events]
        with self._lock:
            self._write(lambda connection: connection.executemany(_INSERT, rows), lazily)
        for listener in self._listeners:
            listener(events)

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Facts with a sequence number above ``after``, oldest first, at most ``limit``."""
        with self._lock:
            return _read(self._db.conn, after, limit)

    def last(self, kind: str, *, fleet: str, run: str, agent: str = "") -> Event | None:
        """The newest fact of a kind in a run, or None."""
        with self._lock:
            return _last(self._db.conn, kind, fleet, run, agent)

    def of_run(self, fleet: str, run: str, kinds: Sequence[str]) -> list[Event]:
        """All facts of these kinds in a run, oldest first; those this version cannot read are left out."""
        marks = ", ".join("?" for _ in kinds)
        query = f"SELECT seq, json FROM events WHERE fleet=? AND run=? AND kind IN ({marks}) ORDER BY seq"  # noqa: S608
        with self._lock:
            rows = self._db.conn.execute(query, (fleet, run, *kinds)).fetchall()
        return [fact for seq, text in rows if (fact := _known(seq, text)) is not None]

    def of_run_after(self, fleet: str, run: str, kinds: Sequence[str], after: int) -> tuple[int, list[Event]]:
        """Facts of these kinds in a run with a sequence number above ``after``, oldest first; where to go on next time.

        It costs what has come since, not what the run has.
        """
        marks = ", ".join("?" for _ in kinds)
        # From the beginning by the index of the run; later by sequence number, though other runs have facts there too.
        by_number = "NOT INDEXED" if after else ""
        query = (
            f"SELECT seq, json FROM events {by_number} WHERE seq>? AND seq<=? AND fleet=? AND run=?"  # noqa: S608
            f" AND kind IN ({marks}) ORDER BY seq"
        )
        with self._lock:
            newest = int(self._db.conn.execute("SELECT max(seq) FROM events").fetchone()[0] or 0)
            if newest <= after:
                return after, []
            rows = self._db.conn.execute(query, (after, newest, fleet, run, *kinds)).fetchall()
        return newest, [fact for seq, text in rows if (fact := _known(seq, text)) is not None]

    def last_number(self, prefix: str) -> int:
        """The highest number N of a fact whose id is ``prefix/N``; 0 when there is none."""
        # The unique index serves this: "0" is the character after "/".
        query = (
            "SELECT max(CAST(substr(id, ?) AS INTEGER)) FROM events WHERE id>? AND id<? AND substr(id, ?) NOT GLOB ?"
        )
        begin = len(prefix) + 2
        with self._lock:
            row = self._db.conn.execute(query, (begin, f"{prefix}/", f"{prefix}0", begin, "*[^0-9]*")).fetchone()
        return int(row[0] or 0)

    def newest_runs(self) -> list[RunStarted]:
        """The beginning of each fleet's newest run. Raises JournalError when one cannot be read."""
        query = "SELECT json, max(seq) FROM events WHERE kind='run_started' GROUP BY fleet"
        try:
            with self._lock:
                return [RunStarted.model_validate_json(row[0]) for row in self._db.conn.execute(query)]
        except (sqlite3.Error, ValidationError) as error:
            raise JournalError(f"the runs cannot be read: {error}", operation="read the journal") from error

    def has(self, event_id: str) -> bool:
        """Whether a fact with that id was recorded."""
        with self._lock:
            return self._db.conn.execute("SELECT 1 FROM events WHERE id=?", (event_id,)).fetchone() is not None

    def put_body(self, body_id: str, body: BaseModel, *, lazily: bool = False) -> bool:
        """Keep what an id stands for. The first body of an id stays, a retry changes nothing: then False is returned.

        ``lazily`` as in ``append``.
        """
        row = (body_id, body.model_dump_json())
        with self._lock:
            return (
                self._write(lambda c: c.execute("INSERT OR IGNORE INTO bodies (id, json) VALUES (?, ?)", row), lazily)
                == 1
            )

    def find_body(self, body_id: str, kind: type[T]) -> T | None:
        """What an id stands for, or None."""
        with self._lock:
            row = self._db.conn.execute("SELECT json FROM bodies WHERE id=?", (body_id,)).fetchone()
        return kind.model_validate_json(row[0]) if row else None

    def body(self, body_id: str, kind: type[T]) -> T:
        """What an id stands for. Raises NotFound."""
        found = self.find_body(body_id, kind)
        if found is None:
            raise NotFound(f"nothing is kept under {body_id!r}", operation="read the store")
        return found

    def close(self) -> None:
        """Close the file; what was appended is safe."""
        with self._lock:
            self._db.close()

    def _write(self, statement: Callable[[sqlite3.Connection], sqlite3.Cursor], lazily: bool = False) -> int:
        """One transaction; how many rows it changed."""
        connection = self._db.conn
        try:
            if lazily:  # the next FULL commit syncs the same file, and this with it
                connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            changed = statement(connection).rowcount
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise JournalError(
                f"the journal did not take a fact: {error}", operation="append", hint="check the disk's free space"
            ) from error
        finally:
            if lazily:
                connection.execute("PRAGMA synchronous=FULL")
        return changed


class JournalReader:
    """Follows a journal that another process writes; the file may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version = -1

    def changed(self) -> bool:
        """Whether facts may have come since the last call. Costs microseconds when none have."""
        connection = self._connect()
        if connection is None:
            return False
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        changed = version != self._version
        self._version = version
        return changed

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Facts with a sequence number above ``after``, oldest first, at most ``limit``; none when there is no file."""
        connection = self._connect()
        return [] if connection is None else _read(connection, after, limit)

    def last(self, kind: str, *, fleet: str = "", run: str = "", agent: str = "") -> Event | None:
        """The newest fact of a kind, or None; empty names for one that is about the engine."""
        connection = self._connect()
        return None if connection is None else _last(connection, kind, fleet, run, agent)

    def fleets(self) -> list[str]:
        """Ids of the fleets that ever ran, the latest first."""
        connection = self._connect()
        if connection is None:
            return []
        query = "SELECT fleet FROM events WHERE kind='run_started' GROUP BY fleet ORDER BY max(seq) DESC"
        return [row[0] for row in connection.execute(query)]

    def roots(self) -> list[str]:
        """Folders of the projects of all fleets that ever ran, each fleet's newest."""
        connection = self._connect()
        if connection is None:
            return []
        query = "SELECT json_extract(json, '$.root'), max(seq) FROM events WHERE kind='run_started' GROUP BY fleet"
        return [str(row[0]) for row in connection.execute(query)]

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection | None:
        if self._connection is None and self._path.exists():
            connection = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=5, check_same_thread=False)
            # The writer may be between making the file and its tables.
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name='events'").fetchone() is None:
                connection.close()
                return None
            self._connection = connection
        return self._connection


def _read(connection: sqlite3.Connection, after: int, limit: int) -> list[tuple[int, Event]]:
    facts: list[tuple[int, Event]] = []
    while not facts:
        query = "SELECT seq, json FROM events WHERE seq>? ORDER BY seq LIMIT ?"
        rows = connection.execute(query, (after, limit)).fetchall()
        if not rows:
            break
        facts = [(seq, fact) for seq, text in rows if (fact := _known(seq, text)) is not None]
        # A batch of nothing but unknown kinds is not the end: a reader would wait behind it for ever.
        after = rows[-1][0]
    return facts


def _last(connection: sqlite3.Connection, kind: str, fleet: str, run: str, agent: str) -> Event | None:
    query = "SELECT json FROM events WHERE fleet=? AND run=? AND agent=? AND kind=? ORDER BY seq DESC LIMIT 1"
    row = connection.execute(query, (fleet, run, agent, kind)).fetchone()
    return parse_event(row[0]) if row else None


def _known(seq: int, text: str) -> Event | None:
    try:
        return parse_event(text)
    except ValidationError:
        # A newer Skerry wrote a kind this one does not know: the rest of the journal is still good.
        log.warning("fact %s is of a kind this version does not know", seq)
        return None
