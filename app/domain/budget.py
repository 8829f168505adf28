"""What an agent may use up in a run, what it has used, and what becomes of that at 80 and at 100 per cent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.domain.quantities import format_duration, parse_duration

LimitKind = Literal["turns", "tokens", "cost_usd", "wall_clock"]
"""Named as in agents.yaml. Amounts are whole numbers: turns, tokens, nanodollars, seconds."""
LIMITS: tuple[LimitKind, ...] = ("turns", "tokens", "cost_usd", "wall_clock")

NANO = 10**9
"""Nanodollars in a dollar: the price of one token is a whole number of them, so that sums never depend on an order."""
WARN_AT = Fraction(8, 10)
"""The share of a limit at which the user is told."""


class Budget(BaseModel):
    """What agents.yaml allows an agent in one run."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    turns: int
    tokens: int
    cost_usd: float
    wall_clock: float

    def amount(self, kind: LimitKind) -> int:
        """The limit as a whole number of its unit."""
        value: int | float = getattr(self, kind)
        return round(value * NANO) if kind == "cost_usd" else round(value)

    def step(self, kind: LimitKind) -> int:
        """By how much a limit is raised when the user says no other amount: half of it, at least a little."""
        least = {"turns": 1, "tokens": 10_000, "cost_usd": NANO, "wall_clock": 600}[kind]
        return max(least, self.amount(kind) // 2)


@dataclass(frozen=True, slots=True)
class Used:
    """One limit of an agent: how much is used, of how much. ``free``: the user lets this turn go beyond it."""

    kind: LimitKind
    used: int
    allowed: int
    free: bool = False

    @property
    def share(self) -> Fraction:
        """1 is all of it. A limit of nothing is used up as soon as anything is used."""
        if self.allowed > 0:
            return Fraction(self.used, self.allowed)
        return Fraction(2) if self.used > 0 else Fraction(0)

    @property
    def number(self) -> float:
        """What is used, as agents.yaml counts: turns, tokens, US dollars, seconds."""
        return self.used / NANO if self.kind == "cost_usd" else self.used

    @property
    def limit(self) -> float:
        """What is allowed, counted like ``number``."""
        return self.allowed / NANO if self.kind == "cost_usd" else self.allowed

    @property
    def short(self) -> str:
        """``1,200 of 2,000 tokens``."""
        return self.words.removesuffix(" used")

    @property
    def words(self) -> str:
        """``1,200 of 2,000 tokens used``."""
        return f"{show(self.kind, self.used, unit=False)} of {show(self.kind, self.allowed)} used"


def over(limits: Iterable[Used], turn: int) -> Used | None:
    """The limit that keeps an agent from going on in ``turn``, the furthest beyond first; None when there is none.

    A turn that may begin may be finished: the number of turns counts before a turn only.
    """
    beyond = [item for item in limits if not item.free and _ends(item, turn)]
    return max(beyond, key=lambda item: item.share, default=None)


def _ends(item: Used, turn: int) -> bool:
    return turn > item.allowed if item.kind == "turns" else item.share >= 1 and item.used > 0


def show(kind: LimitKind, amount: int, *, unit: bool = True) -> str:
    """An amount for a person: ``12 turns``, ``1,200 tokens``, ``$0.42``, ``1h30m``."""
    if kind == "cost_usd":
        return dollars(amount)
    if kind == "wall_clock":
        return format_duration(amount) + (" of work" if unit else "")
    return f"{amount:,} {kind if amount != 1 else kind.removesuffix('s')}" if unit else f"{amount:,}"


def dollars(nanodollars: int) -> str:
    """``$3.10``; amounts below a cent with two digits that say something."""
    value = nanodollars / NANO
    return f"${value:,.2f}" if value >= 0.01 or nanodollars == 0 else f"${value:.2g}"


def parse_amount(kind: LimitKind, text: str) -> int | None:
    """The amount a person wrote (``500000``, ``2.50``, ``1h``, ``$3``), in the limit's unit; None for anything else."""
    plain = text.strip().lstrip("$").replace(",", "").replace("_", "")
    try:
        if kind == "wall_clock":
            found = parse_duration(plain if not plain.replace(".", "").isdigit() else float(plain))
        else:
            found = float(plain) * (NANO if kind == "cost_usd" else 1)
    except ValueError:
        return None
    return round(found) if 0 < found < 10**18 else None
