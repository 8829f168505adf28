"""Envelopes and the states of a message, over all values and orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import MOVES, Attachment, Envelope, MessageState, may_move
from app.domain.events import dump_event, parse_event
from app.testing import EventBuilder

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_WHEN = st.integers(0, 3_000_000_000_000).map(lambda ms: _NOW + timedelta(milliseconds=ms))
_ENVELOPES = st.builds(
    Envelope,
    id=st.text(),
    sender=st.text(),
    recipient=st.text(),
    mode=st.sampled_from(["async", "sync"]),
    kind=st.sampled_from(["message", "reply", "event", "receipt", "confirm"]),
    subject=st.text(),
    body=st.text(),
    data=st.dictionaries(st.text(), _JSON, max_size=3),
    attachments=st.tuples(st.builds(Attachment, name=st.text(), size=st.integers(0, 2**40), sha256=st.text())),
    reply_to=st.none() | st.text(),
    correlation_id=st.text(),
    idempotency_key=st.text(),
    sent_at=_WHEN,
    expires_at=st.none() | _WHEN,
    hops=st.lists(st.text(), max_size=3).map(tuple),
)


@given(_ENVELOPES)
def test_an_envelope_survives_the_way_through_json(envelope: Envelope) -> None:
    assert Envelope.model_validate_json(envelope.model_dump_json()) == envelope
    fact = ev.MessageAccepted.model_validate(EventBuilder().base("alice") | {"envelope": envelope})
    assert parse_event(dump_event(fact)) == fact


@given(st.lists(st.sampled_from(list(MessageState))))
def test_no_order_of_moves_comes_back_to_a_state(states: list[MessageState]) -> None:
    state, history = MessageState.HELD, [MessageState.HELD]
    for new in states:
        if may_move(state, new):
            state = new
            history.append(new)
    assert len(set(history)) == len(history)
    assert all(new in MOVES[old] for old, new in pairwise(history))


_FACT = st.tuples(st.integers(0, 2), st.sampled_from(["accept", "move"]), st.sampled_from(list(MessageState)))


@given(st.lists(_FACT, max_size=30))
def test_no_order_of_facts_counts_below_zero(steps: list[tuple[int, str, MessageState]]) -> None:
    make = EventBuilder()
    board = Board("demo-000000")
    board.apply(make.run_started("alice", "bob"))
    for number, what, state in steps:
        name, (sender, recipient) = f"m-{number}", (("alice", "bob"), ("bob", "alice"), ("bob", "carol"))[number]
        sent = _NOW + timedelta(seconds=number)
        envelope = Envelope(id=name, sender=sender, recipient=recipient, body="x", sent_at=sent)
        if what == "accept":
            fact: Any = ev.MessageAccepted.model_validate(make.base(sender) | {"envelope": envelope, "state": state})
        else:
            fact = ev.MessageMoved.model_validate(make.base(recipient) | {"message_id": name, "state": state})
        board.apply(fact)
        for agent in board.agents.values():
            unread = [v for v in board.messages.values() if v.envelope.recipient == agent.id and v.state == "delivered"]
            assert agent.unread == len(unread) >= 0
