"""The conversations that Skerry holds with models itself; workflows carry references to what is kept here.

Every entry has a place: the turn, the number of the model's reply in it (0 before the first), and for calls their id.
What is kept once stays as it is: a step that is tried again finds what it did before.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from app.domain.errors import JournalError
from app.domain.loops import GO_ON_SHORTER, LoopItem, LoopOutcome, LoopReply, Standing, Told, standing
from app.store.database import open_database

Kind = Literal["prompt", "reply", "begun", "outcome", "summary"]
_PUT = (
    "INSERT OR IGNORE INTO transcripts (fleet, run, agent, session, turn, step, kind, call, at, json)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_OF_SESSION = (
    "SELECT seq, turn, step, kind, call, json FROM transcripts"
    " WHERE fleet=? AND run=? AND agent=? AND session=? ORDER BY seq"
)
_OF_TURN = (
    "SELECT seq, turn, step, kind, call, json FROM transcripts"
    " WHERE fleet=? AND run=? AND agent=? AND session=? AND turn=? ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class Thread:
    """One conversation of one agent."""

    fleet: str
    run: str
    agent: str
    session: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """As the table has it."""
        return self.fleet, self.run, self.agent, self.session


@dataclass(frozen=True, slots=True)
class Entry:
    """One row."""

    seq: int
    turn: int
    step: int
    kind: Kind
    call: str
    json: str


class Transcripts:
    """Reads and writes conversations. Durable when a method returns; may be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path)
        self._lock = threading.Lock()

    def tell(self, thread: Thread, turn: int, text: str) -> None:
        """The prompt of a turn."""
        self._put(thread, turn, 0, "prompt", "", Told(text=text))

    def reply(self, thread: Thread, turn: int, step: int, reply: LoopReply) -> None:
        """The model's answer number ``step`` in a turn."""
        self._put(thread, turn, step, "reply", "", reply)

    def begin(self, thread: Thread, turn: int, step: int, call: str) -> bool:
        """Whether a call may begin; False when it has begun before, and nobody knows how far it came."""
        return self._put(thread, turn, step, "begun", call, Told(text="")) == 1

    def outcome(self, thread: Thread, turn: int, step: int, outcome: LoopOutcome) -> LoopOutcome:
        """Keep what came of a call; what is kept already stays, and is given back."""
        if self._put(thread, turn, step, "outcome", outcome.id, outcome) == 1:
            return outcome
        return self.find_outcome(thread, turn, step, outcome.id) or outcome

    def summarise(self, thread: Thread, turn: int, step: int, text: str) -> None:
        """From here on the conversation is this text, and what follows."""
        self._put(thread, turn, step, "summary", "", Told(text=text))

    def entries(self, thread: Thread) -> list[Entry]:
        """All of a conversation, oldest first."""
        return self._rows(_OF_SESSION, thread.key)

    def of_turn(self, thread: Thread, turn: int) -> list[Entry]:
        """What is kept of a turn, oldest first."""
        return self._rows(_OF_TURN, (*thread.key, turn))

    def find_outcome(self, thread: Thread, turn: int, step: int, call: str) -> LoopOutcome | None:
        """What came of a call, None when nothing did yet."""
        found = [row for row in self.of_turn(thread, turn) if (row.step, row.kind, row.call) == (step, "outcome", call)]
        return LoopOutcome.model_validate_json(found[0].json) if found else None

    def find_reply(self, thread: Thread, turn: int, step: int) -> LoopReply | None:
        """The model's answer number ``step`` in a turn."""
        found = [row for row in self.of_turn(thread, turn) if (row.step, row.kind) == (step, "reply")]
        return LoopReply.model_validate_json(found[0].json) if found else None

    def standing(self, thread: Thread, turn: int) -> Standing:
        """Where a turn stands."""
        rows = self.of_turn(thread, turn)
        replies = [LoopReply.model_validate_json(row.json) for row in rows if row.kind == "reply"]
        outcomes = {
            (row.step, row.call): LoopOutcome.model_validate_json(row.json) for row in rows if row.kind == "outcome"
        }
        return standing(replies, outcomes)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _rows(self, query: str, key: tuple[object, ...]) -> list[Entry]:
        with self._lock:
            return [Entry(*row) for row in self._db.conn.execute(query, key)]

    def _put(self, thread: Thread, turn: int, step: int, kind: Kind, call: str, body: BaseModel) -> int:
        row = (*thread.key, turn, step, kind, call, datetime.now(UTC).isoformat(), body.model_dump_json())
        with self._lock:
            try:
                return self._db.conn.execute(_PUT, row).rowcount
            except sqlite3.Error as error:
                raise JournalError(
                    f"the transcript was not kept: {error}", operation="keep transcript", hint="check the disk"
                ) from error


def call_ids(entries: Sequence[Entry]) -> frozenset[str]:
    """The ids of all calls so far: in a conversation each must be another."""
    replies = [LoopReply.model_validate_json(row.json) for row in entries if row.kind == "reply"]
    return frozenset(call.id for reply in replies for call in reply.calls)


def conversation(entries: Sequence[Entry]) -> list[LoopItem]:
    """What the model is given of a conversation: all since the last summary, every call with what came of it."""
    last = max((place for place, row in enumerate(entries) if row.kind == "summary"), default=-1)
    items: list[LoopItem] = []
    outcomes = {(row.turn, row.step, row.call): row for row in entries if row.kind == "outcome"}
    begun = {(row.turn, row.step, row.call) for row in entries if row.kind == "begun"}
    for row in entries[max(last, 0) :]:
        if row.kind in ("prompt", "summary"):
            items.append(Told.model_validate_json(row.json))
        elif row.kind == "reply":
            reply = LoopReply.model_validate_json(row.json)
            items.append(reply)
            for call in reply.calls:
                place = (row.turn, row.step, call.id)
                found = outcomes.get(place)
                items.append(LoopOutcome.model_validate_json(found.json) if found else _lost(call.id, place in begun))
            if reply.stop == "length":
                items.append(Told(text=GO_ON_SHORTER))
    return items


def _lost(call: str, begun: bool) -> LoopOutcome:
    """A call of a turn that ended before anything came of it."""
    text = "was cancelled; it may have had part of its effect" if begun else "was not carried out: the turn was ended"
    return LoopOutcome(id=call, name="", text=f"[skerry] {text}", ok=False)
