"""Refused tool calls leave a bounded number of facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.activities.refusals import Refusals
from app.workflows.steps import AgentOrder

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_flood_is_told_once_with_its_number() -> None:
    order = AgentOrder(fleet="f", run="r", agent="a", project_file="p")
    refusals = Refusals(most=2)
    told = [refusals.facts(order, "send_message\x1b", "bad \ud800", _NOW) for _ in range(5)]
    assert [len(facts) for facts in told] == [1, 1, 0, 0, 0]
    assert (told[0][0].tool, told[0][0].reason) == ("send_message\ufffd", "bad \ufffd")
    later = refusals.facts(order, "reply", "unknown", _NOW + timedelta(minutes=1))
    assert [fact.reason for fact in later] == ["3 more calls were refused in a minute", "unknown"]
