"""What became of every message: the journal's story beside what the agents were told and have seen.

docs/chaos.md says what lost, doubled and stuck mean.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from app.chaos.diary import Entry
from app.chaos.plan import Plan, Planned
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.store.journal import Journal
from app.store.postbox import MessageRow

Fates = Mapping[str, Sequence[MessageState]]
"""The states each message went through, by its facts; the first is the one it was taken in with, or refused."""

_ENDS = (MessageState.READ, MessageState.ANSWERED, MessageState.REFUSED, MessageState.EXPIRED)
_READ = (MessageState.READ, MessageState.ANSWERED)
_NO_MESSAGE = (MessageState.REFUSED, MessageState.HELD)
_PUT_BEFORE = frozenset({MessageState.DELIVERED, *_READ})


@dataclass(slots=True)
class Ledger:
    """Counts of messages; ``troubles`` names each one that is lost, doubled or stuck."""

    seed: int
    planned: int
    sent: int = 0
    replies: int = 0
    delivered: int = 0
    read: int = 0
    answered: int = 0
    expired: int = 0
    refused_after: int = 0
    unread: int = 0
    held: int = 0
    were_held: int = 0
    refused: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    kills: int = 0
    kills_of_engine: int = 0
    kills_of_temporal: int = 0
    seconds: float = 0.0
    troubles: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is lost, doubled or stuck, and every message taken in is in one of the ends."""
        return not (self.lost or self.doubled or self.stuck) and self.adds_up

    @property
    def adds_up(self) -> bool:
        """Whether what was taken in is what came to an end, or to none yet, and what was delivered lies between."""
        taken, seen = self.sent + self.replies, self.read + self.answered
        ends = seen + self.expired + self.refused_after + self.unread + self.held
        return taken == ends and seen <= self.delivered <= taken - self.refused_after - self.held

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {**asdict(self), "adds_up": self.adds_up, "ok": self.ok}


def read_fates(journal: Path, fleet: str, run: str) -> Fates:
    """What the journal's facts say of the messages of a run."""
    reader, fates = Journal(journal), defaultdict[str, list[MessageState]](list)
    try:
        for fact in reader.of_run(fleet, run, ("message_accepted", "message_moved")):
            if isinstance(fact, ev.MessageAccepted):
                fates[fact.envelope.id].insert(0, fact.state)
            elif isinstance(fact, ev.MessageMoved):
                fates[fact.message_id].append(fact.state)
    finally:
        reader.close()
    return fates


class Books:
    """The rows of a run and the diaries of its agents, compared."""

    def __init__(self, plan: Plan, rows: Sequence[MessageRow], diaries: Mapping[str, Sequence[Entry]]) -> None:
        self._plan, self._rows, self._diaries = plan, rows, diaries
        self._by_id = {row.id: row for row in rows}
        self._by_key: defaultdict[str, list[MessageRow]] = defaultdict(list)
        self._expired = {row.id for row in rows if row.state is MessageState.EXPIRED}
        self._tried: defaultdict[str, set[MessageState]] = defaultdict(set)
        self._unmarked = plan.left_unread()
        for row in rows:
            self._tried[row.idempotency_key].add(row.state)
            if row.state not in _NO_MESSAGE:
                self._by_key[row.idempotency_key or f"decision/{row.reply_to}"].append(row)

    def quiet(self) -> bool:
        """Whether nothing is left to come."""
        return not self.stuck()

    def ledger(self, fates: Fates) -> Ledger:
        """The counts."""
        states = Counter(row.state for row in self._rows)
        at_the_door = [row for row in self._rows if fates[row.id][0] is MessageState.REFUSED]
        taken = [row for row in self._rows if fates[row.id][0] is not MessageState.REFUSED]
        lost, doubled, stuck = self.lost(), self.doubled(), self.stuck()
        return Ledger(
            seed=self._plan.seed,
            planned=self._plan.messages,
            sent=sum(1 for row in taken if row.reply_to is None),
            replies=sum(1 for row in taken if row.reply_to is not None),
            delivered=sum(1 for row in taken if _PUT_BEFORE & set(fates[row.id])),
            read=states[MessageState.READ],
            answered=states[MessageState.ANSWERED],
            expired=states[MessageState.EXPIRED],
            refused_after=sum(1 for row in taken if row.state is MessageState.REFUSED),
            unread=states[MessageState.ACCEPTED] + states[MessageState.DELIVERED],
            held=states[MessageState.HELD],
            were_held=sum(1 for row in taken if fates[row.id][0] is MessageState.HELD),
            refused=len(at_the_door),
            refusals=dict(Counter(_why(row) for row in self._rows if row.state is MessageState.REFUSED)),
            lost=len(lost),
            doubled=len(doubled),
            stuck=len(stuck),
            troubles=[*lost, *doubled, *stuck],
        )

    def lost(self) -> list[str]:
        """Acknowledged and not in the journal, or read there and never seen by its recipient."""
        found = []
        seen = {agent: {entry.id for entry in entries if entry.what == "seen"} for agent, entries in self._items()}
        for agent, entries in self._items():
            for entry in entries:
                if entry.what == "told" and entry.id and entry.id not in self._by_id:
                    found.append(f"lost: {entry.key} of {agent} was acknowledged as {entry.id} and is not on record")
        for row in self._rows:
            if row.state in _READ and row.id not in seen.get(row.recipient, set()):
                found.append(f"lost: {row.id} is {row.state} on record and {row.recipient} never saw it")
        return found

    def doubled(self) -> list[str]:
        """A key accepted under two ids, or a text that came in two turns."""
        found = [f"doubled: {key} is {len(rows)} messages" for key, rows in self._by_key.items() if len(rows) > 1]
        for agent, entries in self._items():
            ended = {entry.turn for entry in entries if entry.what == "turn"}
            turns: defaultdict[str, set[int]] = defaultdict(set)
            for entry in entries:
                if entry.what == "seen" and entry.turn in ended:
                    turns[entry.id].add(entry.turn)
            found += [f"doubled: {agent} saw {i} in turns {sorted(t)}" for i, t in turns.items() if len(t) > 1]
            seen = {entry.id for entry in entries if entry.what == "seen"}
            found += [f"doubled: {i} expired, and {agent} saw it" for i in sorted(seen & self._expired)]
        return found

    def stuck(self) -> list[str]:
        """Planned and not sent, taken in and in no end, or asked and never answered."""
        found = [f"stuck: {row.id} to {row.recipient} is {row.state}" for row in self._rows if not self._at_an_end(row)]
        for agent in self._plan.names:
            told = {entry.key for entry in self._diaries.get(agent, ()) if entry.what == "told"}
            for planned in self._plan.share(agent):
                if planned.key not in told:
                    found.append(f"stuck: {planned.key} of {agent} was not sent")
                elif not self._settled(agent, planned):
                    found.append(f"stuck: {planned.key} of {agent} ({planned.how}) has not come to its end")
        return found

    def _at_an_end(self, row: MessageRow) -> bool:
        left = row.state is MessageState.DELIVERED and row.idempotency_key in self._unmarked
        return row.state in _ENDS or left

    def _settled(self, agent: str, planned: Planned) -> bool:
        if planned.how == "closed":
            tried = self._tried[planned.key]
            return bool(tried) if self._plan.asks(agent) else tried == {MessageState.REFUSED}
        rows = self._by_key[planned.key] or self._by_key[f"{planned.key}-a"]
        if planned.how in ("asked", "reply", "confirm"):
            return any(row.state in (MessageState.ANSWERED, MessageState.EXPIRED) for row in rows)
        return bool(rows)

    def _items(self) -> list[tuple[str, Sequence[Entry]]]:
        return list(self._diaries.items())


def _why(row: MessageRow) -> str:
    """The reason of a refusal without what differs from message to message."""
    words = row.reason.split(":")[0].split(";")[0]
    return words.removesuffix(f" {row.recipient}")
