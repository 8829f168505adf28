"""What the facts of a run say an agent has used up, and whether its model provider is there. A pure fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from app.domain import events as ev
from app.domain.budget import LIMITS, Budget, LimitKind, Used, over
from app.domain.events import AgentStatus, Event

_NO_SERVICE = frozenset({408, 429, *range(500, 600)})
"""HTTP statuses of a provider that does not serve now, and may later."""


@dataclass(frozen=True, slots=True)
class Account:
    """One agent in one run. Each fact is to be learnt once, which the journal sees to: it has each id once.

    The order of requests changes no sum. Time at work is that of the state ``running``: not of waiting for others or
    for the user, nor of a pause, nor of the time in which no engine was there.
    """

    turns: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    nanodollars: int = 0
    unpriced_tokens: int = 0
    """Of models without a price: they are in the tokens and in no cost."""
    milliseconds: int = 0
    running_since: datetime | None = None
    heard: datetime | None = None
    """When the agent's newest fact came."""
    raised: tuple[tuple[LimitKind, int], ...] = ()
    free: tuple[tuple[LimitKind, int], ...] = ()
    """Turns in which a limit does not count, as the user said."""
    refusals: int = 0
    """Requests in a row that the provider did not serve."""
    trouble: ev.ModelTrouble | None = None

    @property
    def tokens(self) -> int:
        """To and from the model."""
        return self.input_tokens + self.output_tokens

    def seconds(self, now: datetime) -> int:
        """Time at work until ``now``."""
        return (self.milliseconds + _milliseconds(self.running_since, now)) // 1000

    def limits(self, budget: Budget, now: datetime, turn: int) -> list[Used]:
        """Every limit, with what is used of it."""
        used = {
            "turns": self.turns,
            "tokens": self.tokens,
            "cost_usd": self.nanodollars,
            "wall_clock": self.seconds(now),
        }
        more = {kind: sum(amount for other, amount in self.raised if other == kind) for kind in LIMITS}
        return [
            Used(kind, used[kind], budget.amount(kind) + more[kind], free=(kind, turn) in self.free) for kind in LIMITS
        ]

    def summary(self, budget: Budget, now: datetime, turn: int) -> str:
        """All limits in a line, and what of the tokens has no price."""
        parts = [item.short for item in self.limits(budget, now, turn)]
        if self.unpriced_tokens:
            parts.append(f"{self.unpriced_tokens:,} tokens of models without a known price")
        return ", ".join(parts)

    def exhausted(self, budget: Budget, now: datetime, turn: int) -> Used | None:
        """The limit that keeps the agent from going on in ``turn``."""
        return over(self.limits(budget, now, turn), turn)

    def learn(self, fact: Event) -> Account:
        """The account with one more fact of its agent."""
        return replace(self._learnt(fact), heard=fact.at)

    def _learnt(self, fact: Event) -> Account:
        match fact:
            case ev.ModelCalled():
                return self._called(fact)
            case ev.TurnStarted(turn=turn):
                return replace(self, turns=max(self.turns, turn))
            case ev.AgentMoved(state=state):
                since = fact.at if state is AgentStatus.RUNNING else None
                return replace(self._stop_clock(fact.at), running_since=since)
            case ev.TurnResumed():  # nobody worked from the last that was heard of it until now
                running = self.running_since is not None
                return replace(self._stop_clock(self.heard or fact.at), running_since=fact.at if running else None)
            case ev.BudgetRaised(turn=0):
                return replace(self, raised=(*self.raised, (fact.limit, fact.amount)))
            case ev.BudgetRaised():
                return replace(self, free=(*self.free, (fact.limit, fact.turn)))
            case ev.ModelTrouble():
                return replace(self, trouble=fact if fact.cause else None, refusals=0)
            case _:
                return self

    def _called(self, fact: ev.ModelCalled) -> Account:
        served = fact.status not in _NO_SERVICE
        unpriced = fact.input_tokens + fact.output_tokens if fact.nanodollars is None else 0
        return replace(
            self,
            input_tokens=self.input_tokens + fact.input_tokens,
            cached_tokens=self.cached_tokens + fact.cached_tokens,
            output_tokens=self.output_tokens + fact.output_tokens,
            nanodollars=self.nanodollars + (fact.nanodollars or 0),
            unpriced_tokens=self.unpriced_tokens + unpriced,
            refusals=0 if served else self.refusals + 1,
            trouble=None if fact.status < 300 else self.trouble,
        )

    def _stop_clock(self, at: datetime) -> Account:
        return replace(self, milliseconds=self.milliseconds + _milliseconds(self.running_since, at))


def _milliseconds(since: datetime | None, until: datetime) -> int:
    return 0 if since is None else max(0, round((until - since).total_seconds() * 1000))
