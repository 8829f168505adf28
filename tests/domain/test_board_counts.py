"""Unread counts of the board, whatever the order of the facts."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import Envelope, MessageState
from app.testing import EventBuilder

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_STEP = st.tuples(st.sampled_from(["accept", "move", "reveal"]), st.sampled_from(list(MessageState)))


@given(st.lists(_STEP, max_size=20))
def test_unread_is_the_number_of_delivered_messages(steps: list[tuple[str, MessageState]]) -> None:
    make = EventBuilder()
    board = Board("f")
    board.apply(start := make.run_started("alice"))
    board.fleet, board.run = start.fleet, start.run
    board.apply(start)
    envelope = Envelope(id="m-1", sender="alice", recipient="bob", body="x", sent_at=_NOW)
    for what, state in steps:
        if what == "accept":
            board.apply(ev.MessageAccepted.model_validate(make.base("alice") | {"envelope": envelope, "state": state}))
        elif what == "move":
            board.apply(ev.MessageMoved.model_validate(make.base("bob") | {"message_id": "m-1", "state": state}))
        else:
            board.agent("bob")
        delivered = sum(view.state is MessageState.DELIVERED for view in board.messages.values())
        assert "bob" not in board.agents or board.agents["bob"].unread == delivered
