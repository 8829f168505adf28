from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import Envelope, MessageState
from app.domain.events import AgentStatus, Event, dump_event, parse_event
from app.domain.interrupt import Answer, Interrupt, InterruptKind, InterruptState
from app.testing import EventBuilder

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def story() -> list[Event]:
    make = EventBuilder()
    envelope = Envelope(id="m-1", sender="alice", recipient="bob", subject="Hi", body="Hello", sent_at=NOW)
    question = Interrupt(id="i-1", agent="bob", kind=InterruptKind.USER_INPUT, title="Which?", raised_at=NOW)

    def fact(kind: type[ev.Fact], agent: str, **values: object) -> Event:
        return kind.model_validate(make.base(agent) | values)  # type: ignore[return-value]

    return [
        make.run_started("alice", "bob"),
        make.moved("alice", AgentStatus.RUNNING, "begins its task", 1),
        fact(ev.ToolStarted, "alice", turn=1, call_id="c1", title="run", command="make test"),
        fact(ev.ToolEnded, "alice", turn=1, call_id="c1", status="completed", command="make test", exit_status=0),
        fact(ev.MessageAccepted, "alice", envelope=envelope),
        fact(ev.MessageMoved, "bob", message_id="m-1", state=MessageState.DELIVERED),
        fact(ev.ModelCalled, "alice", provider="p", model="m", status=200, input_tokens=10, output_tokens=2),
        fact(ev.MemoryWritten, "alice", revision=1, heading="Notes", text="Remember this.", action="append"),
        fact(ev.InterruptRaised, "bob", interrupt=question),
        make.moved("bob", AgentStatus.WAITING, "your answer: Which?", 1),
        fact(ev.MessageMoved, "bob", message_id="m-1", state=MessageState.READ),
        fact(
            ev.InterruptSettled,
            "bob",
            interrupt_id="i-1",
            state=InterruptState.ANSWERED,
            answer=Answer(text="That."),
        ),
        make.moved("alice", AgentStatus.COMPLETED, "done"),
        make.moved("bob", AgentStatus.COMPLETED, "done"),
        fact(ev.RunEnded, "", outcome="completed"),
    ]


def board_of(events: list[Event]) -> Board:
    board = Board("demo-000000")
    board.apply_all(events)
    return board


def test_the_story_told_halfway() -> None:
    board = board_of(story()[:10])
    alice, bob = board.agents["alice"], board.agents["bob"]
    assert (alice.state, alice.reason, alice.turn) == (AgentStatus.RUNNING, "begins its task", 1)
    assert (alice.last_action, alice.commands, alice.memory_snippet) == ("make test", 1, "Remember this.")
    assert (alice.input_tokens, alice.output_tokens, alice.model_calls) == (10, 2, 1)
    assert (bob.unread, bob.open_interrupts, bob.needs_user) == (1, 1, True)
    assert [item.id for item in board.open_interrupts] == ["i-1"]
    assert not board.quiet


def test_the_story_told_to_its_end() -> None:
    board = board_of(story())
    bob = board.agents["bob"]
    assert (bob.unread, bob.open_interrupts, bob.needs_user) == (0, 0, False)
    assert board.messages["m-1"].state is MessageState.READ
    assert [state.value for state, _, _ in board.messages["m-1"].history] == ["accepted", "delivered", "read"]
    assert board.interrupts["i-1"].answer == Answer(text="That.")
    assert board.ended
    assert board.quiet
    assert board.outcome == "completed"


def test_another_fleets_and_an_old_runs_facts_change_nothing() -> None:
    board = board_of(story())
    revision = board.revision
    assert not board.apply(EventBuilder(fleet="other").moved("alice", AgentStatus.FAILED))
    assert not board.apply(EventBuilder(run="r0").moved("alice", AgentStatus.FAILED))
    assert board.revision == revision
    assert board.agents["alice"].state is AgentStatus.COMPLETED


def test_a_new_run_begins_with_a_clean_board() -> None:
    board = board_of(story())
    board.apply(EventBuilder(run="r2").run_started("alice"))
    assert list(board.agents) == ["alice"]
    assert board.agents["alice"].state is AgentStatus.STARTING
    assert (board.messages, board.interrupts, board.outcome) == ({}, {}, "")


@given(st.data())
def test_facts_said_again_in_any_place_after_do_not_change_what_is_counted_by_id(data: st.DataObject) -> None:
    events = story()
    repeats = [
        event
        for event in events
        if isinstance(event, ev.MessageAccepted | ev.MessageMoved | ev.InterruptRaised | ev.InterruptSettled)
    ]
    again = data.draw(st.lists(st.sampled_from(repeats), max_size=6))
    board, plain = board_of(events + list(again)), board_of(events)
    assert board.messages == plain.messages
    assert board.interrupts == plain.interrupts
    assert {name: view.unread for name, view in board.agents.items()} == {"alice": 0, "bob": 0}


def test_every_fact_survives_the_way_through_text() -> None:
    for event in story():
        assert parse_event(dump_event(event)) == event
