"""The meter: whatever the order, however often a fact is told, the journal gives the same sums."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.activities.ledger import Ledgers
from app.domain import events as ev
from app.domain.account import Account
from app.domain.budget import NANO, Budget, Used, dollars, over, parse_amount, show
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.domain.limits import over_budget, raised_by
from app.domain.prices import Price, PriceTable
from app.store.journal import Journal
from app.testing import EventBuilder

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BUDGET = Budget(turns=200, tokens=2_000_000, cost_usd=5.0, wall_clock=14_400)
CALLS = st.lists(
    st.builds(
        ev.ModelCalled,
        id=st.integers(0, 30).map(lambda number: f"r1/alice/model/{number}"),
        at=st.just(NOON),
        fleet=st.just("f"),
        run=st.just("r1"),
        agent=st.sampled_from(["alice", "bob"]),
        provider=st.just("p"),
        model=st.just("m"),
        status=st.sampled_from([200, 429, 503]),
        input_tokens=st.integers(0, 10**6),
        output_tokens=st.integers(0, 10**6),
        cached_tokens=st.integers(0, 10**5),
        nanodollars=st.none() | st.integers(0, 10**10),
    ),
    max_size=25,
    unique_by=lambda fact: fact.id,
)


@settings(max_examples=40)
@given(CALLS, st.randoms(use_true_random=False), st.lists(st.integers(1, 7), max_size=8))
def test_any_order_and_any_repetition_gives_the_same_sums(
    calls: list[ev.ModelCalled], chance: random.Random, batches: list[int]
) -> None:
    """Facts come in any order, some again (a step that is tried twice), and are read in bits, by two engines."""
    told = calls + chance.sample(calls, len(calls) // 2)
    chance.shuffle(told)
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder, "journal.db"))
        reader = Ledgers(journal)
        for size in (*batches, len(told)):
            for fact in told[:size]:
                journal.append(fact)
            told = told[size:]
            reader.of("f", "r1")
        for ledger in (reader.of("f", "r1"), Ledgers(journal).of("f", "r1")):
            for agent in ("alice", "bob"):
                own = [call for call in calls if call.agent == agent]
                account = ledger.account(agent)
                assert account.tokens == sum(call.input_tokens + call.output_tokens for call in own)
                assert account.nanodollars == sum(call.nanodollars or 0 for call in own)
                unpriced = [call for call in own if call.nanodollars is None]
                assert account.unpriced_tokens == sum(c.input_tokens + c.output_tokens for c in unpriced)
        journal.close()


def test_time_at_work_is_neither_waiting_nor_pause_nor_an_engines_death() -> None:
    build, account = EventBuilder(), Account()

    def at(seconds: int, kind: type[ev.Fact], **values: object) -> ev.Event:
        moment = NOON + timedelta(seconds=seconds)
        return kind.model_validate(build.base("alice") | {"at": moment, **values})  # type: ignore[return-value]

    running, waiting = {"state": AgentStatus.RUNNING}, {"state": AgentStatus.WAITING}
    for fact in (
        at(0, ev.AgentMoved, **running),
        at(10, ev.AgentMoved, **waiting),
        at(100, ev.AgentMoved, **running),
        at(105, ev.AgentSaid, turn=1, text="Still here."),
        # the engine is killed, and comes back an hour later
        at(3705, ev.TurnResumed, turn=1, attempt=2),
        at(3707, ev.AgentMoved, state=AgentStatus.IDLE),
    ):
        account = account.learn(fact)
    assert account.seconds(NOON + timedelta(days=1)) == 10 + 5 + 2


def test_the_number_of_turns_counts_before_a_turn_only() -> None:
    used = [Used("turns", 3, 3)]
    assert over(used, 3) is None, "the last turn may be finished"
    assert over(used, 4) == used[0]
    assert over([Used("turns", 3, 3, free=True)], 4) is None


def test_a_limit_of_nothing_is_used_up_by_anything() -> None:
    assert over([Used("cost_usd", 0, 0)], 1) is None
    assert over([Used("cost_usd", 1, 0)], 1) is not None


@pytest.mark.parametrize(
    ("kind", "text", "amount"),
    [
        ("tokens", "1,000", 1000),
        ("cost_usd", "$2.50", 2_500_000_000),
        ("wall_clock", "1h30m", 5400),
        ("wall_clock", "90", 90),
        ("turns", "5", 5),
        ("tokens", "many", None),
        ("tokens", "-5", None),
        ("turns", "0", None),
        ("tokens", "inf", None),
        ("tokens", "nan", None),
    ],
)
def test_amounts_as_people_write_them(kind: str, text: str, amount: int | None) -> None:
    assert parse_amount(kind, text) == amount  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["turns", "tokens", "cost_usd", "wall_clock"])
@given(limit=st.integers(1, 10**7))
def test_what_is_offered_is_what_is_allowed(kind: str, limit: int) -> None:
    budget = Budget(turns=limit, tokens=limit, cost_usd=limit / 100, wall_clock=limit)
    used = Used(kind, budget.amount(kind), budget.amount(kind))  # type: ignore[arg-type]
    asked = over_budget("r1", "alice", used, budget, NOON, number=1)
    answered = asked.model_copy(update={"answer": Answer(option=asked.options[0])})
    step = budget.step(kind)  # type: ignore[arg-type]
    tolerance = {"cost_usd": NANO // 200, "wall_clock": step // 20 + 60}.get(kind, 0)
    assert abs(raised_by(answered) - step) <= tolerance
    assert raised_by(answered) > 0


@given(used=st.integers(0, 10**8))
def test_what_is_offered_lets_the_agent_go_on(used: int) -> None:
    budget = Budget(turns=1, tokens=1000, cost_usd=1, wall_clock=1)
    asked = over_budget("r1", "alice", Used("tokens", used, 1000), budget, NOON, number=1)
    answered = asked.model_copy(update={"answer": Answer(option=asked.options[0])})
    assert over([Used("tokens", used, 1000 + raised_by(answered))], 1) is None


def test_words() -> None:
    assert show("tokens", 1_200_000) == "1,200,000 tokens"
    assert show("turns", 1) == "1 turn"
    assert Used("wall_clock", 600, 14_400).words == "10m of 4h of work used"
    assert Used("cost_usd", 420_000_000, 5 * NANO).words == "$0.42 of $5.00 used"
    assert dollars(1_250_000) == "$0.0013"


def test_a_table_of_prices() -> None:
    long = Price(model="m-*", above=1000, **{"in": 10.0}, out=20.0)
    table = PriceTable(prices=(long, Price(model="m-*", **{"in": 1.25}, cached=0.125, cache_write=1.5, out=10.0)))
    assert (
        table.cost("m-1", given=1000, made=10, cached=600, written=100) == 300 * 1250 + 600 * 125 + 100 * 1500 + 10**5
    )
    assert table.cost("vendor/M-1", given=1001, made=0) == 1001 * 10_000
    assert table.cost("other", given=5, made=5) is None
