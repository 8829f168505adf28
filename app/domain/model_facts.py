"""Facts about models: what was asked of them, what was allowed to be spent on them, and when they were not there."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from app.domain.budget import LimitKind
from app.domain.fact import Fact


class ModelCalled(Fact):
    """One request to a model provider through the gateway; ``status`` is HTTP's, ``seconds`` to the last byte.

    The one record of what was used: a step that is tried again makes requests of its own, and each has its own fact.
    """

    kind: Literal["model_called"] = "model_called"
    provider: str
    model: str
    status: int
    input_tokens: int = 0
    """All that was given, what came from or went into the provider's cache included."""
    output_tokens: int = 0
    seconds: float = 0.0
    cached_tokens: int = 0
    """Of the input: read from the provider's cache."""
    written_tokens: int = 0
    """Of the input: written into the provider's cache."""
    nanodollars: int | None = None
    """What it cost by the table of prices of that day, in 1e-9 US dollars; None when the model has no price there."""


class ConversationCondensed(Fact):
    """A conversation was too long for its model: it goes on from the model's own summary of ``items`` entries."""

    kind: Literal["conversation_condensed"] = "conversation_condensed"
    turn: int
    items: int
    summary: str


class BudgetRaised(Fact):
    """The user allows an agent more. ``amount`` is in the limit's unit: turns, tokens, nanodollars, seconds."""

    kind: Literal["budget_raised"] = "budget_raised"
    limit: LimitKind
    amount: int = 0
    turn: int = 0
    """Instead of an amount: in this turn the limit does not count."""


class ModelTrouble(Fact):
    """An agent's model provider is not to be asked: until a time, or until it answers again (``cause`` empty)."""

    kind: Literal["model_trouble"] = "model_trouble"
    cause: Literal["usage_limit", "provider_down", ""]
    detail: str = ""
    until: datetime | None = None
