"""What agents have used of their budgets, as ``status`` shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.text import Text

from app.domain.board import AgentView
from app.domain.budget import NANO, WARN_AT


def used_line(view: AgentView, now: datetime) -> Text | None:
    """The budget in a line, yellow from 80 % on; None when the run has none."""
    words = view.used_words(now)
    near = any(item.share >= WARN_AT for item in view.used(now))
    return Text(f"used: {words}", "yellow" if near else "dim") if words else None


def used_for_programs(view: AgentView, now: datetime) -> dict[str, Any]:
    """``used`` by limit (turns, tokens, US dollars, seconds), and what the tokens cost as far as that is known."""
    used, account = view.used(now), view.account
    limits = {item.kind: {"used": item.number, "limit": item.limit, "share": float(item.share)} for item in used}
    cost = {"cost_usd": account.nanodollars / NANO, "unpriced_tokens": account.unpriced_tokens}
    return {"used": limits, **cost, "cached_tokens": account.cached_tokens}
