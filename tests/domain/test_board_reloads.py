"""What a team's change, a run's second life, an opened channel and a refused call do to the board; threads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import Envelope, MessageState
from app.domain.events import AgentStatus, Event
from app.testing import EventBuilder

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAKE = EventBuilder()


def fact(kind: type[ev.Fact], agent: str = "", **values: object) -> Event:
    return kind.model_validate(MAKE.base(agent) | values)  # type: ignore[return-value]


def board_of(*events: Event) -> Board:
    board = Board("demo-000000")
    board.apply_all([MAKE.run_started("alice", "bob"), *events])
    return board


def reloaded(*ids: str, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> Event:
    agents = tuple(ev.AgentDeclared(id=name, type="codex", model="m2", recipients=("bob",)) for name in ids)
    return fact(ev.FleetReloaded, agents=agents, added=added, removed=removed)


def message(message_id: str, sender: str, recipient: str, minute: int, thread: str = "") -> Event:
    envelope = Envelope(
        id=message_id,
        sender=sender,
        recipient=recipient,
        body="x",
        correlation_id=thread,
        sent_at=NOW + timedelta(minutes=minute),
    )
    return fact(ev.MessageAccepted, sender, envelope=envelope)


def test_a_reload_adds_changes_and_removes() -> None:
    board = board_of(reloaded("alice", "carol", added=("carol",), removed=("bob", "nobody")))
    assert {name: view.removed for name, view in board.agents.items()} == {"alice": False, "bob": True, "carol": False}
    assert board.agents["alice"].model == "m2"
    carol = board.agents["carol"]
    assert (carol.state, carol.recipients, carol.since is not None) == (AgentStatus.STARTING, ("bob",), True)
    board.apply(reloaded("alice", "bob", "carol", added=("bob",)))
    assert not board.agents["bob"].removed


def test_a_removed_agent_keeps_nobody_waiting() -> None:
    board = board_of(
        MAKE.moved("alice", AgentStatus.IDLE),
        MAKE.moved("bob", AgentStatus.RUNNING),
        message("m-1", "alice", "bob", 0),
    )
    assert (board.quiet, board.ended) == (False, False)
    board.apply(reloaded("alice", removed=("bob",)))
    assert (board.quiet, board.ended) == (True, False)
    board.apply(MAKE.moved("alice", AgentStatus.COMPLETED))
    assert (board.quiet, board.ended) == (True, True)


def test_an_agent_that_comes_back_has_not_ended() -> None:
    board = board_of(
        MAKE.moved("alice", AgentStatus.COMPLETED),
        reloaded("alice", removed=("bob",)),
        MAKE.moved("bob", AgentStatus.STOPPED, "removed from agents.yaml"),
    )
    assert board.ended
    board.apply(reloaded("alice", "bob", added=("bob",)))
    bob = board.agents["bob"]
    assert (board.ended, bob.state, bob.reason) == (False, AgentStatus.STARTING, "")


def test_a_run_that_goes_on_has_no_outcome_until_it_ends_again() -> None:
    board = board_of(fact(ev.RunEnded, outcome="completed"))
    board.apply(fact(ev.RunReseeded, seed=1, why="bob was started again"))
    assert board.outcome == ""
    board.apply(fact(ev.RunEnded, outcome="stopped"))
    assert board.outcome == "stopped"


def test_a_channel_is_opened_once() -> None:
    opened = fact(ev.ChannelOpened, "bob", recipient="alice")
    assert board_of(opened, opened).agents["bob"].recipients == ("alice",)


def test_refused_calls_are_counted_and_the_last_is_told() -> None:
    board = board_of(
        fact(ev.ToolRefused, "bob", tool="reply", reason="no such message"),
        fact(ev.ToolRefused, "bob", tool="nonsense", reason="there is no tool"),
    )
    view = board.agents["bob"]
    assert (view.tools_refused, view.last_refusal) == (2, "nonsense: there is no tool")


def test_a_thread_is_told_from_any_of_its_messages_oldest_first() -> None:
    board = board_of(
        message("m-3", "alice", "bob", 3, "m-1"),
        message("m-1", "alice", "bob", 1),
        message("m-2", "bob", "alice", 2, "m-1"),
        message("m-9", "bob", "alice", 2),
    )
    for start in ("m-1", "m-2", "m-3"):
        assert [view.envelope.id for view in board.thread(start)] == ["m-1", "m-2", "m-3"]
    assert [view.envelope.id for view in board.thread("m-9")] == ["m-9"]
    assert board.thread("m-0") == []
    assert {view.state for view in board.thread("m-1")} == {MessageState.ACCEPTED}
