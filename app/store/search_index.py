"""The search index: all memories, messages, transcripts and questions of this user. A cache of what stands elsewhere.

Whoever searches has it brought up to date first, so it is right whoever changed a file, and whether an engine runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.domain.errors import ActionRefused, JournalError
from app.domain.search import Found, Query
from app.store.journal import JournalReader
from app.store.memory_place import MemoryPlace
from app.store.search_finding import find
from app.store.search_pieces import Piece, pieces_of_facts, pieces_of_file
from app.store.search_schema import open_index, remove_index

T = TypeVar("T")

_INSERT = (
    "INSERT INTO docs (source, kind, fleet, run, agent, at, heading, place, ref, scope, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_BATCH = 2_000
RACY_NS = 2_000_000_000
"""A file that changed so shortly before it was read is read again: its time stamp may not tell of a later change."""


@dataclass(frozen=True, slots=True)
class Source:
    """A memory file."""

    fleet: str
    agent: str
    path: Path


@dataclass(frozen=True, slots=True)
class _Stamp:
    mtime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> _Stamp | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_mtime_ns, found.st_size, found.st_ino)


class SearchIndex:
    """May be used from any thread, and by several processes at once. Its methods raise JournalError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._database = open_index(path)
        self._inode = _inode(path)

    def refresh(self, sources: Iterable[Source], journal: JournalReader | None = None) -> int:
        """Take in what changed; returns how many pieces came or went. Files that cannot be read are not indexed."""
        wanted = list(sources)
        return self._mended(lambda: self._refresh(wanted, journal))

    def search(self, query: Query, sources: Iterable[Source] = (), journal: JournalReader | None = None) -> Found:
        """What holds the query's terms, the best first, once what changed was taken in as by ``refresh``."""
        wanted = list(sources)

        def work() -> Found:
            self._refresh(wanted, journal)
            return find(self._connection, query)

        return self._mended(work)

    def rebuild(self, sources: Iterable[Source], journal: JournalReader | None = None) -> int:
        """Make it anew; returns how many pieces it has."""
        wanted = list(sources)
        with self._lock:
            self._start_anew()
            self._refresh(wanted, journal)
            return int(self._connection.execute("SELECT count(*) FROM docs").fetchone()[0])

    def check(self) -> bool:
        """Whether the index agrees with the texts it was made of. Takes as long as a rebuild."""
        with self._lock:
            try:
                self._connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
                self._connection.execute("INSERT INTO grams (grams, rank) VALUES ('integrity-check', 1)")
            except sqlite3.DatabaseError:
                return False
            return True

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = self._database.conn
        return connection

    def _mended(self, work: Callable[[], T]) -> T:
        """``work``, which begins with a refresh: a damaged index is made anew, empty, and it is done once more."""
        with self._lock:
            if _inode(self._path) != self._inode:
                self._reopen()  # somebody made it anew
            try:
                return work()
            except sqlite3.OperationalError as error:
                raise _unusable(error) from error
            except sqlite3.DatabaseError:
                self._start_anew()
            try:
                return work()
            except sqlite3.Error as error:
                raise _unusable(error) from error

    def _start_anew(self) -> None:
        self._database.close()
        remove_index(self._path)
        self._reopen()

    def _reopen(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._database.close()
        self._database = open_index(self._path)
        self._inode = _inode(self._path)

    def _refresh(self, sources: Sequence[Source], journal: JournalReader | None) -> int:
        changed = sum(self._refresh_file(source) for source in sources)
        return changed + (self._take_facts(journal) if journal is not None else 0)

    def _refresh_file(self, source: Source) -> int:
        query = "SELECT mtime_ns, size, inode, read_ns, digest, fleet, agent FROM sources WHERE path=?"
        known = self._connection.execute(query, (str(source.path),)).fetchone()
        same_agent = known is not None and known[5:] == (source.fleet, source.agent)
        stamp = _Stamp.of(source.path)
        if same_agent and stamp == _Stamp(*known[:3]) and known[3] - known[0] > RACY_NS:
            return 0
        if known is None and stamp is None:
            return 0
        read_ns = time.time_ns()
        try:
            data = MemoryPlace(source.path).read() or b""
        except ActionRefused:
            data = b""  # what is no file of text has nothing to be found
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if same_agent and known[4] == digest:
            # Not when another process has taken in another text meanwhile: it is looked at again then.
            query = "UPDATE sources SET mtime_ns=?, size=?, inode=?, read_ns=? WHERE path=? AND digest=?"
            self._connection.execute(query, (*_values(stamp), read_ns, str(source.path), digest))
            return 0
        at = (stamp.mtime_ns if stamp else read_ns) / 1e9
        pieces = pieces_of_file(data, fleet=source.fleet, agent=source.agent, at=at)
        with self._at_once() as connection:
            number = _set_source(connection, source, (*_values(stamp), read_ns, digest))
            return _replace_pieces(connection, number, pieces)

    def _take_facts(self, journal: JournalReader) -> int:
        first = journal.read(0, 1)
        origin = first[0][1].id if first else ""
        if self._progress("origin") != origin:  # another journal: the old one was moved away
            with self._at_once() as connection:
                connection.execute("DELETE FROM docs WHERE source=0")
                _set_progress(connection, origin=origin, fact="0")
        after, count = int(self._progress("fact") or 0), 0
        while batch := journal.read(after, _BATCH):
            pieces = pieces_of_facts([fact for _, fact in batch])
            with self._at_once() as connection:
                if int(self._progress("fact") or 0) == after:  # nobody else has taken them meanwhile
                    connection.executemany(_INSERT, (_row(0, piece) for piece in pieces))
                    _set_progress(connection, fact=str(batch[-1][0]))
                    count += len(pieces)
            after = batch[-1][0]
        return count

    def _progress(self, name: str) -> str:
        row = self._connection.execute("SELECT value FROM progress WHERE name=?", (name,)).fetchone()
        return str(row[0]) if row else ""

    @contextlib.contextmanager
    def _at_once(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _set_source(connection: sqlite3.Connection, source: Source, seen: tuple[object, ...]) -> int:
    """Note how the file was seen; its number. What was of another agent in its place goes."""
    path, owner = str(source.path), (source.fleet, source.agent)
    other = connection.execute("SELECT id FROM sources WHERE path=? AND (fleet, agent)<>(?, ?)", (path, *owner))
    for row in other.fetchall():
        connection.execute("DELETE FROM docs WHERE source=?", row)
        connection.execute("DELETE FROM sources WHERE id=?", row)
    number = connection.execute(
        "INSERT INTO sources (fleet, agent, path, mtime_ns, size, inode, read_ns, digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET mtime_ns=excluded.mtime_ns,"
        " size=excluded.size, inode=excluded.inode, read_ns=excluded.read_ns, digest=excluded.digest RETURNING id",
        (*owner, path, *seen),
    ).fetchone()[0]
    return int(number)


def _replace_pieces(connection: sqlite3.Connection, source: int, pieces: Sequence[Piece]) -> int:
    """Only what changed is indexed again; what merely moved gets its new place."""
    query = "SELECT id, heading, body, place, ref FROM docs WHERE source=? ORDER BY place, id"
    known: dict[tuple[str, str], list[tuple[int, tuple[int, str]]]] = {}
    for number, heading, body, *place in connection.execute(query, (source,)):
        known.setdefault((heading, body), []).append((number, (place[0], place[1])))
    new = []
    for piece in pieces:
        same = known.get((piece.heading, piece.body))
        if not same:
            new.append(piece)
            continue
        number, place = same.pop(0)
        if place != (piece.place, piece.ref):
            connection.execute("UPDATE docs SET place=?, ref=? WHERE id=?", (piece.place, piece.ref, number))
    gone = [(number,) for left in known.values() for number, _ in left]
    connection.executemany("DELETE FROM docs WHERE id=?", gone)
    connection.executemany(_INSERT, (_row(source, piece) for piece in new))
    return len(gone) + len(new)


def _row(source: int, piece: Piece) -> tuple[object, ...]:
    where = (piece.heading, piece.place, piece.ref, piece.scope, piece.body)
    return (source, piece.kind, piece.fleet, piece.run, piece.agent, piece.at, *where)


def _set_progress(connection: sqlite3.Connection, **values: str) -> None:
    connection.executemany("INSERT OR REPLACE INTO progress VALUES (?, ?)", list(values.items()))


def _values(stamp: _Stamp | None) -> tuple[int, int, int]:
    return (stamp.mtime_ns, stamp.size, stamp.inode) if stamp else (0, 0, 0)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _unusable(error: sqlite3.Error) -> JournalError:
    return JournalError(
        f"the search index cannot be used: {error}", operation="search", hint="skerry memory reindex makes it anew"
    )
