"""Where every message stands, who has how many unread, and who waits for whom."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.domain.envelope import Await, MessageState
from app.domain.errors import JournalError
from app.store.database import open_database

UNREAD = (MessageState.ACCEPTED, MessageState.DELIVERED)
"""States of a message that its recipient has yet to read."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message without its text. Times are ISO 8601, UTC; empty strings where there is nothing to say."""

    id: str
    fleet: str
    run: str
    sender: str
    recipient: str
    mode: str
    kind: str
    reply_to: str | None
    correlation_id: str
    idempotency_key: str
    sent_at: str
    expires_at: str | None
    state: MessageState
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class Wait:
    """``waiter`` can do nothing until ``awaited`` has read or answered the message, or ``until`` has come."""

    message_id: str
    fleet: str
    run: str
    waiter: str
    awaited: str
    awaits: Await
    until: datetime


_ROW = (
    "SELECT id, fleet, run, sender, recipient, mode, kind, reply_to, correlation_id, idempotency_key, sent_at,"
    " expires_at, state, reason, at FROM messages"
)
_WAIT = "SELECT message_id, fleet, run, waiter, awaited, awaits, until FROM waits"
_PUT_WAIT = (
    "INSERT OR REPLACE INTO waits (message_id, fleet, run, waiter, awaited, awaits, until) VALUES (?, ?, ?, ?, ?, ?, ?)"
)


class Postbox:
    """Reads what the facts say of messages, and keeps the waits. May be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path)
        # Only waits are written here; those of an engine that lost its power are over anyhow.
        self._db.conn.execute("PRAGMA synchronous=NORMAL")
        self._lock = threading.Lock()

    def find(self, message_id: str) -> MessageRow | None:
        """A message, or None."""
        rows = self._rows("WHERE id=?", (message_id,))
        return rows[0] if rows else None

    def replies(self, message_id: str) -> list[MessageRow]:
        """Replies to a message, in the order in which they were accepted."""
        return self._rows("WHERE reply_to=? AND state NOT IN ('refused', 'held') ORDER BY rowid", (message_id,))

    def unread(self, fleet: str, run: str, recipient: str) -> list[MessageRow]:
        """What ``recipient`` has yet to read, oldest first."""
        return self._rows(
            f"WHERE fleet=? AND run=? AND recipient=? AND state IN {_in(UNREAD)} ORDER BY rowid",
            (fleet, run, recipient),
        )

    def count_unread(self, fleet: str, run: str, recipient: str) -> int:
        """How many messages ``recipient`` has yet to read."""
        return self._count(
            f"WHERE fleet=? AND run=? AND recipient=? AND state IN {_in(UNREAD)}", (fleet, run, recipient)
        )

    def count_sent(self, fleet: str, run: str, sender: str, since: datetime) -> int:
        """How many messages of ``sender`` were taken in since then, refused ones not counted."""
        where = "WHERE fleet=? AND run=? AND sender=? AND julianday(sent_at)>=julianday(?) AND state<>'refused'"
        return self._count(where, (fleet, run, sender, since.isoformat()))

    def of_run(self, fleet: str, run: str, states: Sequence[MessageState] = tuple(MessageState)) -> list[MessageRow]:
        """Messages of a run in these states, oldest first."""
        return self._rows(f"WHERE fleet=? AND run=? AND state IN {_in(states)} ORDER BY rowid", (fleet, run))

    def overdue(self, now: datetime) -> list[MessageRow]:
        """Messages nobody has read though their time is up."""
        waiting = _in((*UNREAD, MessageState.HELD))
        return self._rows(
            f"WHERE state IN {waiting} AND julianday(expires_at)<=julianday(?) ORDER BY rowid", (now.isoformat(),)
        )

    def begin_wait(self, wait: Wait, now: datetime) -> tuple[str, ...]:
        """Put a wait on record, unless it would close a circle: then the circle, from the waiter back to the waiter.

        Two who ask for each other at the same instant come one after the other: exactly one of them is refused. The
        same wait again changes its end only.
        """
        with self._lock:
            self._execute("BEGIN IMMEDIATE")
            try:
                where = "WHERE fleet=? AND run=? AND until>? AND message_id<>?"
                rows = self._db.conn.execute(
                    f"{_WAIT} {where}", (wait.fleet, wait.run, now.isoformat(), wait.message_id)
                )
                edges: dict[str, list[str]] = {}
                for row in rows:
                    edges.setdefault(row[3], []).append(row[4])
                circle = _path(edges, wait.awaited, wait.waiter)
                if not circle:
                    values = (wait.message_id, wait.fleet, wait.run, wait.waiter, wait.awaited, wait.awaits)
                    self._db.conn.execute(_PUT_WAIT, (*values, wait.until.isoformat()))
                self._db.conn.execute("COMMIT")
            except BaseException:
                self._db.conn.execute("ROLLBACK")
                raise
        return (wait.waiter, *circle) if circle else ()

    def waiting_for(self, fleet: str, run: str, agent: str, now: datetime) -> tuple[str, ...]:
        """Who waits, directly or through others, for ``agent``; nearest first."""
        edges: dict[str, list[str]] = {}
        for wait in self.waits(fleet, run):
            if wait.until > now:
                edges.setdefault(wait.awaited, []).append(wait.waiter)
        found, todo = [], [agent]
        while todo:
            for waiter in edges.get(todo.pop(0), ()):
                if waiter not in found and waiter != agent:
                    found.append(waiter)
                    todo.append(waiter)
        return tuple(found)

    def end_wait(self, message_id: str) -> None:
        """The waiter goes on. No error when nobody waits."""
        with self._lock:
            self._execute("DELETE FROM waits WHERE message_id=?", message_id)

    def end_waits(self, fleet: str, run: str, waiter: str) -> None:
        """The waiter's turn is over: it waits for nobody."""
        with self._lock:
            self._execute("DELETE FROM waits WHERE fleet=? AND run=? AND waiter=?", fleet, run, waiter)

    def waits(self, fleet: str, run: str) -> list[Wait]:
        """Everybody who waits in a run."""
        with self._lock:
            rows = self._db.conn.execute(f"{_WAIT} WHERE fleet=? AND run=?", (fleet, run)).fetchall()
        return [_wait(row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _rows(self, where: str, values: tuple[object, ...]) -> list[MessageRow]:
        with self._lock:
            rows = self._db.conn.execute(f"{_ROW} {where}", values).fetchall()
        return [_message(row) for row in rows]

    def _count(self, where: str, values: tuple[object, ...]) -> int:
        with self._lock:
            query = f"SELECT count(*) FROM messages {where}"  # noqa: S608  # all of it is ours
            return int(self._db.conn.execute(query, values).fetchone()[0])

    def _execute(self, statement: str, *values: object) -> None:
        try:
            self._db.conn.execute(statement, values)
        except sqlite3.Error as error:
            raise JournalError(f"waits cannot be kept: {error}", operation="wait") from error


def _message(row: Sequence[Any]) -> MessageRow:
    return MessageRow(*row[:12], MessageState(row[12]), *row[13:])  # type: ignore[call-arg]  # fifteen columns


def _wait(row: Sequence[Any]) -> Wait:
    message_id, fleet, run, waiter, awaited, awaits, until = row
    return Wait(message_id, fleet, run, waiter, awaited, awaits, datetime.fromisoformat(until))


def _in(states: Sequence[MessageState]) -> str:
    return "(" + ", ".join(f"'{state}'" for state in states) + ")"


def _path(edges: Mapping[str, Sequence[str]], start: str, end: str) -> tuple[str, ...]:
    """The way from ``start`` to ``end`` along the edges, both included; empty when there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == end:
            return way
        for following in edges.get(way[-1], ()):
            if following not in seen:
                seen.add(following)
                ways.append((*way, following))
    return ()
