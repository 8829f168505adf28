"""What a seed says: who sends what to whom and how, and when which process is killed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.domain.envelope import USER

How = Literal["async", "asked", "ack", "reply", "confirm", "user", "brief", "closed"]
"""``asked``: async, and an answer is wanted; ``ack`` and ``reply`` are sync; ``confirm`` waits for a decision.

``user``: to the user; ``brief``: expires soon; ``closed``: over an edge that agents.yaml does not have.
"""
Target = Literal["engine", "temporal"]
Decision = Literal["once", "always", "refuse", "leave"]
"""What the user does with a message that is held for them; ``leave``: nothing, it expires."""

_HOWS: tuple[How, ...] = ("async", "asked", "ack", "reply", "confirm", "user", "brief", "closed")
_SHARES = (35, 16, 11, 23, 7, 2, 3, 3)
_DECISIONS: tuple[Decision, ...] = ("once", "always", "refuse", "leave")
_DECISION_SHARES = (45, 5, 35, 15)
_MARKED = 0.7
"""The share of messages to the user that are marked as read."""
BRIEF_SECONDS = 2
UNDECIDED_SECONDS = 5
_HASTY = 0.3
"""The share of kills that come in the middle of the recovery from the one before."""
RULES = "---\nmessages:\n  max_per_hour: 1000000\n---\n"


@dataclass(frozen=True, slots=True)
class Planned:
    """A message somebody is to send; ``key`` is its idempotency key. ``pause``: its sender ends its turn after it.

    ``expires``: after so many seconds, 0 for never.
    """

    key: str
    recipient: str
    how: How
    pause: bool
    expires: int = 0


@dataclass(frozen=True, slots=True)
class Kill:
    """A process is killed ``delay`` seconds after so many messages were acknowledged."""

    target: Target
    after: int
    delay: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from the seed."""

    seed: int
    messages: int
    kills: int
    agents: int

    @property
    def names(self) -> tuple[str, ...]:
        """The agents."""
        return tuple(f"a{number}" for number in range(1, self.agents + 1))

    def share(self, agent: str) -> tuple[Planned, ...]:
        """What one agent is to send, in order."""
        chance = random.Random(f"{self.seed}/{agent}")  # noqa: S311  # a plan, no secret
        place = self.names.index(agent)
        count = self.messages // self.agents + (1 if place < self.messages % self.agents else 0)
        return tuple(self._planned(agent, f"c-{agent}-{number}", chance) for number in range(count))

    def _planned(self, agent: str, key: str, chance: random.Random) -> Planned:
        how, closed = chance.choices(_HOWS, _SHARES)[0], self.closed(agent)
        pause = how == "asked" and chance.random() < 0.5
        recipient = chance.choice(self.open(agent))
        if how == "closed":
            expires = UNDECIDED_SECONDS if self.decision(key) == "leave" else 0
            return Planned(key, closed, how, pause, expires) if closed else Planned(key, recipient, "async", pause)
        if how == "brief":
            return Planned(key, chance.choice((USER, recipient)), how, pause, BRIEF_SECONDS)
        return Planned(key, USER if how == "user" else recipient, how, pause)

    def closed(self, agent: str) -> str:
        """Whom an agent may not write to without the user; empty in a team of two."""
        return self.names[(self.names.index(agent) + 1) % self.agents] if self.agents > 2 else ""

    def open(self, agent: str) -> tuple[str, ...]:
        """Whom an agent may write to."""
        return tuple(name for name in self.names if name not in (agent, self.closed(agent)))

    def asks(self, agent: str) -> bool:
        """Whether the user is asked for what is closed to an agent; else it is refused at once."""
        return self.names.index(agent) % 2 == 0

    def decision(self, key: str) -> Decision:
        """What the user does with a held message."""
        chance = random.Random(f"{self.seed}/decides/{key}")  # noqa: S311  # a plan, no secret
        return chance.choices(_DECISIONS, _DECISION_SHARES)[0]

    def marked(self, planned: Planned) -> bool:
        """Whether the user marks a message as read."""
        chance = random.Random(f"{self.seed}/marks/{planned.key}")  # noqa: S311  # a plan, no secret
        return planned.how == "user" and chance.random() < _MARKED

    def left_unread(self) -> frozenset[str]:
        """Keys of the messages to the user that stay unread for ever."""
        sent = [planned for name in self.names for planned in self.share(name) if planned.how == "user"]
        return frozenset(planned.key for planned in sent if not self.marked(planned))

    def kill_plan(self) -> tuple[Kill, ...]:
        """Kills in order: spread over the messages, some in quick succession."""
        chance = random.Random(f"{self.seed}/kills")  # noqa: S311  # a plan, no secret
        marks = sorted(chance.randrange(1, max(2, self.messages * 9 // 10)) for _ in range(self.kills))
        found: list[Kill] = []
        for mark in marks:
            hasty = bool(found) and chance.random() < _HASTY
            after = found[-1].after if hasty else mark
            found.append(Kill(chance.choice(("engine", "temporal")), after, chance.uniform(0, 4 if hasty else 0.5)))
        return tuple(found)

    def write_project(self, folder: Path) -> None:
        """The team as a project that the engine can run."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rules.md").write_text(RULES)
        lines = ["project: {name: chaos}", "agents:"]
        for name in self.names:
            lines += [f"  - id: {name}", "    type: codex", "    rules_file: rules.md"]
            lines += [f"    direct_communication: [{', '.join(self.open(name))}]", "    initial_instructions: Begin."]
            lines += [f"    indirect_communication: {'ask' if self.asks(name) else 'deny'}"]
        (folder / "agents.yaml").write_text("\n".join(lines) + "\n")
