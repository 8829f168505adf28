"""Approving everything for a while: which agents that holds for now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from app.domain.events import ApprovalsClosed, ApprovalsOpened, Event

APPROVE_ALL = "approve-all"
"""Who such an answer is by."""
MAX_APPROVE_ALL = timedelta(hours=8)

KINDS = ("approvals_opened", "approvals_closed")


def blankets(facts: Iterable[Event]) -> dict[str, datetime]:
    """Until when, by agent; the empty name is the whole team. Facts oldest first; some may be over."""
    found: dict[str, datetime] = {}
    for fact in facts:
        note(found, fact)
    return found


def note(found: dict[str, datetime], fact: Event) -> None:
    """Take in one more fact. The end of what holds for the team is the end of every agent's own."""
    if isinstance(fact, ApprovalsOpened):
        found[fact.agent] = fact.until
    elif isinstance(fact, ApprovalsClosed) and fact.agent:
        found.pop(fact.agent, None)
    elif isinstance(fact, ApprovalsClosed):
        found.clear()


def in_time(found: dict[str, datetime], now: datetime) -> dict[str, datetime]:
    """Those that hold at ``now``."""
    return {agent: until for agent, until in found.items() if until > now}


def covers(found: dict[str, datetime], agent: str, now: datetime) -> bool:
    """Whether an approval of ``agent`` is given at ``now`` without asking."""
    return any(name in ("", agent) for name in in_time(found, now))
