"""Chaos in small, and that its ledger sees what it is to see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from app.bench.processes import processes_naming
from app.chaos.diary import Diary, Entry
from app.chaos.ledger import Books, Fates, Ledger
from app.chaos.plan import Plan
from app.config import load_project
from app.domain.envelope import MessageState
from app.store.postbox import MessageRow

ROOT = Path(__file__).parents[2]
PLAN = Plan(seed=1, messages=2, kills=0, agents=2)
KEYS = [planned.key for agent in PLAN.names for planned in PLAN.share(agent)]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_nothing_is_lost_doubled_or_stuck_in_a_short_run() -> None:
    before = homes()
    words = ["chaos", "--messages", "40", "--kills", "4", "--agents", "3", "--seed", "1290", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "app", *words]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    ledger = json.loads(found.stdout)
    assert (ledger["kills"], ledger["planned"]) == (4, 40)
    assert (ledger["lost"], ledger["doubled"], ledger["stuck"], ledger["troubles"]) == (0, 0, 0, [])
    assert ledger["adds_up"] and ledger["answered"] > 0
    assert ledger["sent"] + ledger["replies"] >= ledger["delivered"] >= ledger["read"] + ledger["answered"]
    plan = Plan(seed=1290, messages=40, kills=4, agents=3)
    closed = [(item, name) for name in plan.names for item in plan.share(name) if item.how == "closed"]
    decisions = Counter(plan.decision(item.key) for item, name in closed if plan.asks(name))
    assert decisions.keys() == {"once", "refuse", "leave"}, "the seed was chosen for them"
    assert ledger["were_held"] == decisions.total() and ledger["expired"] >= decisions["leave"]
    assert ledger["refusals"]["refused by the user"] == ledger["refused_after"] == decisions["refuse"]
    assert ledger["refusals"]["you may not write to"] == len(closed) - decisions.total() > 0
    left = homes() - before
    assert not [home for home in left if list(processes_naming(home))] and not left


def test_a_seed_plans_the_same_again(tmp_path: Path) -> None:
    plan, same, other = Plan(5, 100, 10, 4), Plan(5, 100, 10, 4), Plan(6, 100, 10, 4)
    assert [plan.share(name) for name in plan.names] == [same.share(name) for name in same.names]
    assert plan.kill_plan() == same.kill_plan() != other.kill_plan()
    assert sum(len(plan.share(name)) for name in plan.names) == 100 and len(plan.kill_plan()) == 10
    assert all(planned.recipient != name for name in plan.names for planned in plan.share(name))
    closed = [(planned, name) for name in plan.names for planned in plan.share(name) if planned.how == "closed"]
    assert closed and all(planned.recipient == plan.closed(name) for planned, name in closed)
    assert {plan.decision(f"c-a1-{number}") for number in range(100)} == {"once", "always", "refuse", "leave"}
    plan.write_project(tmp_path)
    assert [agent.id for agent in load_project(tmp_path).fleet.agents] == list(plan.names)


def test_a_line_cut_by_a_kill_spoils_no_other(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "a1")
    diary.add(Entry("seen", 1, id="m-1"))
    with (tmp_path / "a1").open("a") as file:
        file.write('{"what": "to')
    diary.add(Entry("turn", 1))
    assert [entry.what for entry in diary.entries()] == ["seen", "turn"]


def test_the_ledger_finds_what_was_acknowledged_and_is_gone() -> None:
    books = Books(PLAN, [], {"a1": [Entry("told", 1, KEYS[0], "m-1")], "a2": []})
    assert len(books.lost()) == 1 and "not on record" in books.lost()[0]


def test_the_ledger_finds_what_is_read_and_was_never_seen() -> None:
    row = message("m-1", KEYS[0])
    assert len(Books(PLAN, [row], {"a1": [], "a2": []}).lost()) == 1
    assert Books(PLAN, [row], {"a1": [], "a2": [Entry("seen", 1, id="m-1")]}).lost() == []


def test_the_ledger_finds_doubles() -> None:
    twice = [Entry("seen", 1, id="m-1"), Entry("turn", 1), Entry("seen", 2, id="m-1")]
    rows = [message("m-1", KEYS[0]), message("m-2", KEYS[0])]
    assert len(doubled(rows, twice)) == 1, "the second turn is not over"
    assert len(doubled(rows, [*twice, Entry("turn", 2)])) == 2
    refused = message("m-2", KEYS[0], MessageState.REFUSED)
    assert doubled([rows[0], refused], twice) == []


def test_the_ledger_finds_what_is_stuck() -> None:
    books = Books(PLAN, [message("m-1", KEYS[0], MessageState.DELIVERED)], {"a1": [], "a2": []})
    assert len(books.stuck()) == 3, "one is unread, and neither agent was told what became of its own"
    assert not books.ledger({"m-1": [MessageState.ACCEPTED, MessageState.DELIVERED]}).ok


def test_what_expired_and_was_seen_all_the_same_has_two_ends() -> None:
    row = message("m-1", KEYS[0], MessageState.EXPIRED)
    assert doubled([row], []) == []
    assert doubled([row], [Entry("seen", 1, id="m-1")]) == ["doubled: m-1 expired, and a2 saw it"]


def test_the_sum_counts_what_was_taken_in_first_and_refused_later() -> None:
    accepted, refused, delivered = MessageState.ACCEPTED, MessageState.REFUSED, MessageState.DELIVERED
    fates: dict[str, list[MessageState]] = {
        "m-1": [accepted, delivered, MessageState.READ],
        "m-2": [MessageState.HELD, refused],
        "m-3": [refused],
        "m-4": [accepted, delivered, MessageState.EXPIRED],
    }
    ledger = summed(fates)
    assert (ledger.sent, ledger.delivered, ledger.read, ledger.expired) == (3, 2, 1, 1)
    assert (ledger.refused_after, ledger.refused, ledger.were_held) == (1, 1, 1)
    assert ledger.adds_up
    assert not summed({**fates, "m-1": [accepted, MessageState.READ], "m-5": [refused, accepted]}).adds_up


def test_a_closed_edge_must_refuse() -> None:
    plan = Plan(seed=1290, messages=40, kills=0, agents=3)
    planned = next(item for item in plan.share("a2") if item.how == "closed")
    assert not plan.asks("a2")
    told = {"a2": [Entry("told", 1, planned.key)]}
    for state, stuck in ((MessageState.REFUSED, False), (MessageState.READ, True)):
        books = Books(plan, [message("m-1", planned.key, state)], told)
        assert any(planned.key in trouble for trouble in books.stuck()) is stuck


def summed(fates: Fates) -> Ledger:
    rows = [message(name, name, states[-1]) for name, states in fates.items()]
    return Books(PLAN, rows, {}).ledger(fates)


def doubled(rows: Iterable[MessageRow], entries: list[Entry]) -> list[str]:
    return Books(PLAN, list(rows), {"a1": [], "a2": entries}).doubled()


def homes() -> set[Path]:
    return set(Path("/tmp").glob("skerry-chaos-*"))


def message(message_id: str, key: str, state: MessageState = MessageState.READ) -> MessageRow:
    at = "2026-11-23T05:00:00+00:00"
    return MessageRow(
        message_id, "f", "r", "a1", "a2", "async", "message", None, message_id, key, at, None, state, "", at
    )
