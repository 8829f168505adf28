"""What people and programs see of a budget; and what an agent hears of an answer about it after all was lost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.cli.budget import used_for_programs, used_line
from app.domain import events as ev
from app.domain.account import Account
from app.domain.board import AgentView, Board
from app.domain.budget import NANO, Budget, Used
from app.domain.interrupt import Answer, InterruptState
from app.domain.limits import over_budget
from app.engine.minds import Past
from app.testing import EventBuilder
from app.ui.dashboard.model import Column, cell_text, sort_key, tip

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BUDGET = Budget(turns=10, tokens=2000, cost_usd=5, wall_clock=3600)


def view(tokens: int) -> AgentView:
    account = Account(turns=3, input_tokens=tokens, nanodollars=NANO, unpriced_tokens=7, milliseconds=60_000)
    return AgentView("alice", account=account, budget=BUDGET)


@pytest.mark.parametrize(("tokens", "style"), [(1000, "dim"), (1600, "yellow")])
def test_the_line_of_status(tokens: int, style: str) -> None:
    line = used_line(view(tokens), NOW)
    assert line is not None and line.style == style
    assert line.plain == (
        f"used: 3 of 10 turns, {tokens:,} of 2,000 tokens, $1.00 of $5.00, 1m of 1h of work,"
        " 7 tokens of models without a known price"
    )
    assert used_line(AgentView("alice"), NOW) is None, "a run of an older Skerry has no budget"


def test_for_programs() -> None:
    found = used_for_programs(view(1000), NOW)
    assert found["used"]["tokens"] == {"used": 1000, "limit": 2000, "share": 0.5}
    assert found["used"]["cost_usd"] == {"used": 1.0, "limit": 5.0, "share": 0.2}
    assert (found["cost_usd"], found["unpriced_tokens"]) == (1.0, 7)


def test_the_dashboard_shows_the_nearest_limit() -> None:
    assert cell_text(view(1300), Column.BUDGET) == "65 %"
    assert sort_key(view(1300), Column.BUDGET) == 65
    assert "Used: 3 of 10 turns, 1,300 of 2,000 tokens" in tip(view(1300))
    assert cell_text(AgentView("alice"), Column.BUDGET) == "0"


def test_the_board_counts_what_is_declared_raised_and_used() -> None:
    build, board = EventBuilder(), Board("demo-000000")
    declared = [{"id": "alice", "type": "codex", "budget": BUDGET.model_dump()}]
    started = build.base() | {"project": "demo", "root": "/demo", "agents": declared}
    called = {"provider": "p", "model": "m", "status": 200, "input_tokens": 900, "output_tokens": 100}
    board.apply(ev.RunStarted.model_validate(started))
    board.apply(ev.ModelCalled.model_validate(build.base("alice") | called))
    board.apply(ev.BudgetRaised.model_validate(build.base("alice") | {"limit": "tokens", "amount": 500}))
    tokens = next(item for item in board.agents["alice"].used(NOW) if item.kind == "tokens")
    assert (tokens.used, tokens.allowed) == (1000, 2500)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(option="Continue once"), False),
        (Answer(option="Raise by 1,000 tokens", text="5000"), False),
        (Answer(action="modify", text="Be brief."), True),
    ],
)
def test_an_agent_that_is_seeded_anew_hears_words_only(answer: Answer, told: bool) -> None:
    build, past = EventBuilder(), Past()
    asked = over_budget("r1", "alice", Used("tokens", 2001, 2000), BUDGET, NOW, number=1)
    past.learn(ev.InterruptRaised.model_validate(build.base("alice") | {"interrupt": asked}))
    settled = {"interrupt_id": asked.id, "state": InterruptState.ANSWERED, "answer": answer}
    past.learn(ev.InterruptSettled.model_validate(build.base("alice") | settled))
    assert [item.id for item in past.untold()] == [asked.id] * told
