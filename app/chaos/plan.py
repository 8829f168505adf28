"""What a seed says: who sends what to whom and how, and when which process is killed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

How = Literal["async", "asked", "ack", "reply", "confirm"]
"""``asked``: async, and an answer is wanted; ``ack`` and ``reply`` are sync; ``confirm`` waits for a decision."""
Target = Literal["engine", "temporal"]

_HOWS: tuple[How, ...] = ("async", "asked", "ack", "reply", "confirm")
_SHARES = (38, 17, 12, 25, 8)
_HASTY = 0.3
"""The share of kills that come in the middle of the recovery from the one before."""
RULES = "---\nmessages:\n  max_per_hour: 1000000\n---\n"


@dataclass(frozen=True, slots=True)
class Planned:
    """A message somebody is to send; ``key`` is its idempotency key. ``pause``: its sender ends its turn after it."""

    key: str
    recipient: str
    how: How
    pause: bool


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
        others = [name for name in self.names if name != agent]
        place = self.names.index(agent)
        count = self.messages // self.agents + (1 if place < self.messages % self.agents else 0)
        found = []
        for number in range(count):
            how = chance.choices(_HOWS, _SHARES)[0]
            pause = how == "asked" and chance.random() < 0.5
            found.append(Planned(f"c-{agent}-{number}", chance.choice(others), how, pause))
        return tuple(found)

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
            others = ", ".join(other for other in self.names if other != name)
            lines += [f"  - id: {name}", "    type: codex", "    rules_file: rules.md"]
            lines += [f"    direct_communication: [{others}]", "    initial_instructions: Begin."]
        (folder / "agents.yaml").write_text("\n".join(lines) + "\n")
