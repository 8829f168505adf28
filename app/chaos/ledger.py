"""What became of every message: the journal's story beside what the agents were told and have seen.

docs/chaos.md says what lost, doubled and stuck mean.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from app.chaos.diary import Entry
from app.chaos.plan import Plan, Planned
from app.domain.envelope import MessageState
from app.store.postbox import MessageRow

_ENDS = (MessageState.READ, MessageState.ANSWERED, MessageState.REFUSED, MessageState.EXPIRED)
_READ = (MessageState.READ, MessageState.ANSWERED)
_NO_MESSAGE = (MessageState.REFUSED, MessageState.HELD)


@dataclass(slots=True)
class Ledger:
    """Counts of messages; ``troubles`` names each one that is lost, doubled or stuck."""

    seed: int
    planned: int
    sent: int = 0
    replies: int = 0
    read: int = 0
    answered: int = 0
    refused: int = 0
    expired: int = 0
    held: int = 0
    unread: int = 0
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
        """Whether what was sent is what was read, answered, or has expired, and nothing else."""
        return self.sent + self.replies == self.read + self.answered + self.expired + self.unread + self.held

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {**asdict(self), "adds_up": self.adds_up, "ok": self.ok}


class Books:
    """The rows of a run and the diaries of its agents, compared."""

    def __init__(self, plan: Plan, rows: Sequence[MessageRow], diaries: Mapping[str, Sequence[Entry]]) -> None:
        self._plan, self._rows, self._diaries = plan, rows, diaries
        self._by_id = {row.id: row for row in rows}
        self._by_key: defaultdict[str, list[MessageRow]] = defaultdict(list)
        for row in rows:
            if row.state not in _NO_MESSAGE:
                self._by_key[row.idempotency_key or f"decision/{row.reply_to}"].append(row)

    def quiet(self) -> bool:
        """Whether nothing is left to come."""
        return not self.stuck()

    def ledger(self) -> Ledger:
        """The counts."""
        states = Counter(row.state for row in self._rows)
        taken = [row for row in self._rows if row.state is not MessageState.REFUSED]
        lost, doubled, stuck = self.lost(), self.doubled(), self.stuck()
        return Ledger(
            seed=self._plan.seed,
            planned=self._plan.messages,
            sent=sum(1 for row in taken if row.reply_to is None),
            replies=sum(1 for row in taken if row.reply_to is not None),
            read=states[MessageState.READ],
            answered=states[MessageState.ANSWERED],
            refused=states[MessageState.REFUSED],
            expired=states[MessageState.EXPIRED],
            held=states[MessageState.HELD],
            unread=states[MessageState.ACCEPTED] + states[MessageState.DELIVERED],
            refusals=dict(Counter(r.reason.split(":")[0] for r in self._rows if r.state is MessageState.REFUSED)),
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
        return found

    def stuck(self) -> list[str]:
        """Planned and not sent, taken in and in no end, or asked and never answered."""
        found = [f"stuck: {row.id} to {row.recipient} is {row.state}" for row in self._rows if row.state not in _ENDS]
        for agent, entries in self._items():
            told = {entry.key for entry in entries if entry.what == "told"}
            for planned in self._plan.share(agent):
                if planned.key not in told:
                    found.append(f"stuck: {planned.key} of {agent} was not sent")
                elif not self._settled(planned):
                    found.append(f"stuck: {planned.key} of {agent} has no answer")
        return found

    def _settled(self, planned: Planned) -> bool:
        rows = self._by_key[planned.key] or self._by_key[f"{planned.key}-a"]
        if planned.how in ("async", "ack"):
            return bool(rows)
        return any(row.state in (MessageState.ANSWERED, MessageState.EXPIRED) for row in rows)

    def _items(self) -> list[tuple[str, Sequence[Entry]]]:
        return list(self._diaries.items())
