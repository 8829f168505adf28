"""Every revision of one agent's memory, in the journal's database."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlite_utils import Database

from app.domain.errors import JournalError, NotFound
from app.domain.memory import Change, Dispute, Revision
from app.domain.merge import Conflict
from app.store.memory_schema import WHOLE_EVERY

_FIELDS = "revision, at, author, action, heading, why, run, turn, change_id, size, sha256, origin"
_MAX_KNOWN = 300
"""Revisions back to which a person's text is compared."""

_INSERT = f"INSERT INTO memory_revisions VALUES ({', '.join('?' * 22)})"  # noqa: S608  # all of it is ours


class Ledger:
    """A database that several memories are kept in, from any thread."""

    def __init__(self, database: Database) -> None:
        self._connection: sqlite3.Connection = database.conn
        self._lock = threading.RLock()

    @contextmanager
    def looking(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with. Raises JournalError."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise JournalError(
                    f"the revisions of a memory cannot be read: {error}", operation="read memory"
                ) from error

    @contextmanager
    def at_once(self) -> Iterator[sqlite3.Connection]:
        """A connection, everything done with it within being one transaction. Raises JournalError."""
        with self._lock:
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise JournalError(
                    f"the revisions of a memory cannot be kept: {error}",
                    operation="write memory",
                    hint="check the disk's free space",
                ) from error


@dataclass(frozen=True, slots=True)
class Kept:
    """A revision's number and content; number 0 and nothing before the first.

    ``was_last``: nothing of ours has been the file since it was found there.
    """

    number: int
    content: bytes
    change: Change
    was_last: bool = True


@dataclass(frozen=True, slots=True)
class Draft:
    """A revision to be. ``at``: of an imported one.

    ``resolves``: the number of the found text that it brings in; of a found text, that of what took its place at once.
    """

    content: bytes
    change: Change
    resolves: int = 0
    conflicts: tuple[Conflict, ...] = ()
    origin: str = ""
    at: datetime | None = None


class Revisions:
    """Those of the agent ``agent`` of ``fleet``."""

    def __init__(self, ledger: Ledger, *, fleet: str, agent: str) -> None:
        self._ledger = ledger
        self._key = (fleet, agent)

    def head(self) -> Kept:
        """The newest one that the file is known to have been."""
        return self._one("state='kept' ORDER BY revision DESC") or Kept(0, b"", Change("skerry", "edit"))

    def unmerged(self) -> Kept | None:
        """The oldest text that was found and not brought together with the agent's yet."""
        return self._one("state='unmerged' ORDER BY revision")

    def pending(self) -> tuple[int, int] | None:
        """The one that is about to become the file: its number, and the inode number of its draft."""
        rows = self._rows("revision, inode", "state='pending' ORDER BY revision DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def of_change(self, change_id: str) -> int | None:
        """The revision that a change made, or None."""
        rows = self._rows("revision", "state='kept' AND change_id=? AND change_id<>''", (change_id,))
        return rows[0][0] if rows else None

    def has_content(self, content: bytes) -> bool:
        """Whether any revision is these very bytes."""
        return bool(self._rows("1", "sha256=? AND state<>'pending' LIMIT 1", (hashlib.sha256(content).hexdigest(),)))

    def history(self) -> list[Revision]:
        """All of them, oldest first."""
        return [_revision(row) for row in self._rows(_FIELDS, "state<>'pending' ORDER BY revision")]

    def content(self, number: int) -> bytes:
        """What stood in the file. Raises NotFound, or JournalError when it is damaged."""
        with self._ledger.looking() as connection:
            return self._content(connection, number)

    def since_the_users(self) -> tuple[list[bytes], bool]:
        """What the file was since a person last saved it, that text first; not what was only imported.

        And whether the second took the first one's place while it was being saved.
        """
        where = "state='kept' AND origin='' ORDER BY revision DESC LIMIT ?"
        rows = self._rows("revision, author, action, resolves", where, (_MAX_KNOWN,))
        saved = next((i for i, row in enumerate(rows) if row[1:3] in (("user", "edit"), ("user", "remove"))), len(rows))
        numbers = [row[0] for row in reversed(rows[: saved + 1])]
        displaced = saved < len(rows) and bool(rows[saved][3])
        if displaced:
            numbers.insert(1, rows[saved][3])  # has a lower number, but was the file later
        with self._ledger.looking() as connection:
            # Who never saved may have begun with nothing.
            first = [b""] if saved == len(rows) else []
            return first + [self._content(connection, number) for number in numbers], displaced

    def recent_headings(self) -> list[str]:
        """Headings the agent wrote under, the newest first, each once."""
        where = "state='kept' AND heading<>'' GROUP BY heading ORDER BY max(revision) DESC LIMIT 500"
        return [row[0] for row in self._rows("heading", where)]

    def found(self, content: bytes, change: Change, *, merged: bool = False, behind: int = 0) -> int:
        """A text was found that is none of ours. ``merged``: there is nothing to bring it together with.

        ``behind``: it is not the file, that revision is.
        """
        with self._ledger.at_once() as connection:
            return self._insert(connection, Draft(content, change, behind), "kept" if merged else "unmerged")

    def accept(self, number: int) -> None:
        """A found text holds all that the agent wrote: it is the newest revision as it is."""
        self._settle("UPDATE memory_revisions SET state='kept' WHERE fleet=? AND agent=? AND revision=?", number)

    def intend(self, drafts: Iterable[Draft], inode: int) -> int:
        """The last of ``drafts`` is about to become the file; its number. The others are its past."""
        number = 0
        with self._ledger.at_once() as connection:
            for draft in drafts:
                number = self._insert(connection, draft, "pending", inode)
        return number

    def abandon(self) -> None:
        """What was about to become the file did not."""
        self._settle("DELETE FROM memory_revisions WHERE fleet=? AND agent=? AND state='pending'")

    def conclude(self, displaced: bytes | None) -> None:
        """What was about to become the file has. ``displaced``: a text nobody knew stood there."""
        with self._ledger.at_once() as connection:
            pending = connection.execute(
                "SELECT resolves, revision FROM memory_revisions WHERE fleet=? AND agent=? AND state='pending'"
                " ORDER BY revision",
                self._key,
            ).fetchall()
            update = "UPDATE memory_revisions SET state='kept' WHERE fleet=? AND agent=? AND "
            for number, _ in pending:
                connection.execute(update + "revision=?", (*self._key, number))
            connection.execute(update + "state='pending'", self._key)
            if displaced is not None:
                self._insert(connection, Draft(displaced, Change("user", "edit"), pending[-1][1]), "unmerged")

    def disputes(self) -> list[Dispute]:
        """Merges with conflicts that nobody has been told of."""
        rows = self._rows("revision, dispute", "state='kept' AND dispute<>'' AND told=0 ORDER BY revision")
        return [
            Dispute(row[0], tuple(Conflict(tuple(item["ours"]), tuple(item["theirs"])) for item in json.loads(row[1])))
            for row in rows
        ]

    def tell(self, number: int) -> None:
        """The user has been told of a dispute."""
        self._settle("UPDATE memory_revisions SET told=1 WHERE fleet=? AND agent=? AND revision=?", number)

    def _settle(self, statement: str, *values: object) -> None:
        with self._ledger.at_once() as connection:
            connection.execute(statement, (*self._key, *values))

    def _rows(self, fields: str, where: str, values: Sequence[object] = ()) -> list[Any]:
        query = f"SELECT {fields} FROM memory_revisions WHERE fleet=? AND agent=? AND {where}"  # noqa: S608  # ours
        with self._ledger.looking() as connection:
            return connection.execute(query, (*self._key, *values)).fetchall()

    def _one(self, where: str) -> Kept | None:
        rows = self._rows(f"resolves, {_FIELDS}", f"{where} LIMIT 1")
        if not rows:
            return None
        revision = _revision(rows[0][1:])
        return Kept(revision.number, self.content(revision.number), revision.change, not rows[0][0])

    def _content(self, connection: sqlite3.Connection, number: int) -> bytes:
        query = (
            "SELECT revision, head, tail, body, sha256 FROM memory_revisions WHERE fleet=? AND agent=?"
            " AND revision<=? AND revision>? ORDER BY revision DESC"
        )
        rows = []
        for row in connection.execute(query, (*self._key, number, number - 2 * WHOLE_EVERY)):
            rows.append(row)
            if not row[1] and not row[2]:
                break
        if not rows or rows[0][0] != number:
            raise NotFound(f"{self._key[1]} has no revision {number}", operation="read memory", hint="see its history")
        content = b""
        for _, head, tail, body, _ in reversed(rows):
            content = content[:head] + zlib.decompress(body) + content[len(content) - tail :]
        if hashlib.sha256(content).hexdigest() != rows[0][4]:
            raise JournalError(f"revision {number} of {self._key[1]} is damaged", operation="read memory")
        return content

    def _insert(self, connection: sqlite3.Connection, draft: Draft, state: str, inode: int = 0) -> int:
        query = "SELECT max(revision) FROM memory_revisions WHERE fleet=? AND agent=?"
        last = int(connection.execute(query, self._key).fetchone()[0] or 0)
        before = self._content(connection, last) if last % WHOLE_EVERY else b""
        head, tail = shared_ends(before, draft.content)
        dispute = json.dumps([asdict(item) for item in draft.conflicts]) if draft.conflicts else ""
        body = draft.content[head : len(draft.content) - tail]
        change, at = draft.change, (draft.at or datetime.now(UTC)).isoformat()
        who = (*self._key, last + 1, at, change.author, change.action, change.heading, change.why, change.run)
        where = (change.turn, change.id, draft.origin, state, inode, draft.resolves, dispute, 0)
        digest = hashlib.sha256(draft.content).hexdigest()
        connection.execute(_INSERT, (*who, *where, len(draft.content), digest, head, tail, zlib.compress(body)))
        return last + 1


def shared_ends(before: bytes, after: bytes) -> tuple[int, int]:
    """How many bytes two contents have in common at their beginning, and besides at their end."""
    most = min(len(before), len(after))
    head = _shared(before[:most], after[:most])
    rest = most - head
    tail = _shared(before[len(before) - rest :][::-1], after[len(after) - rest :][::-1])
    return head, tail


def _shared(one: bytes, other: bytes) -> int:
    """The length of the common beginning of two strings of the same length."""
    low, high = 0, len(one)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _revision(row: tuple[Any, ...]) -> Revision:
    number, at, author, action, heading, why, run, turn, change_id, size, sha256, origin = row
    change = Change(author, action, heading, why, run, turn, change_id)
    return Revision(number, datetime.fromisoformat(at), change, size, sha256, origin)
