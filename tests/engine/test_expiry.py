"""What nobody reads in time expires, once, whoever has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import USER, Envelope, MessageState, reference
from app.domain.errors import AlreadyAnswered
from app.domain.interrupt import Answer, InterruptState
from app.engine.expiry import Expiry
from app.store.postbox import Postbox
from app.workflows.agent import AgentWorkflow
from app.workflows.confirmations import ACCEPT
from app.workflows.steps import agent_workflow_id
from tests.team import Team, Turn

LATER = timedelta(minutes=5)


def message(message_id: str, recipient: str, sender: str = USER) -> Envelope:
    now = datetime.now(UTC)
    return Envelope(
        id=message_id,
        sender=sender,
        recipient=recipient,
        body="Quick!",
        correlation_id=message_id,
        sent_at=now,
        expires_at=now + timedelta(minutes=1),
    )


async def asks(turn: Turn) -> None:
    """Alice waits for an answer: what comes meanwhile stays unread. Bob is done."""
    if turn.agent == "alice" and turn.number == 1:
        await turn.call("ask_user", question="Which?")
    if turn.agent == "bob":
        await turn.call("finish", summary="done")


@pytest.fixture
def postbox(paths: Paths) -> Postbox:
    return Postbox(paths.journal_db)


async def test_an_unread_message_expires_in_the_inbox(paths: Paths, temporal: Client, postbox: Postbox) -> None:
    async with Team(paths, temporal, asks) as team:
        team.stack.callback(postbox.close)
        await team.start()
        await team.until(lambda board: bool(board.open_interrupts))
        envelope = message("m-1", "alice")
        team.journal.put_body("m-1", envelope)
        handle = temporal.get_workflow_handle(agent_workflow_id(team.fleet, "alice"))
        await handle.execute_update(AgentWorkflow.receive, reference(envelope))
        await team.until(lambda board: "m-1" in board.messages)
        expiry = Expiry(team.journal, postbox, temporal)
        await expiry.look(datetime.now(UTC))
        for _ in range(3):
            await expiry.look(datetime.now(UTC) + LATER)
        await team.until(lambda board: board.messages["m-1"].state is MessageState.EXPIRED)
        assert (await handle.query(AgentWorkflow.state)).inbox == []
        assert len([fact for fact in team.facts(ev.MessageMoved) if fact.state is MessageState.EXPIRED]) == 1


async def test_a_message_to_nobody_expires_on_record(paths: Paths, temporal: Client, postbox: Postbox) -> None:
    async with Team(paths, temporal, asks) as team:
        team.stack.callback(postbox.close)
        run = await team.start()
        await team.until(lambda board: board.agents["bob"].summary != "")
        for number, recipient in enumerate((USER, "bob", "nobody")):
            envelope = message(f"m-{number}", recipient, sender="alice")
            named = {"at": envelope.sent_at, "fleet": team.fleet, "run": run, "agent": "alice"}
            fact = ev.MessageAccepted.model_validate({**named, "id": f"m-{number}/taken", "envelope": envelope})
            team.journal.append(fact)
        await temporal.get_workflow_handle(agent_workflow_id(team.fleet, "bob")).result()
        await Expiry(team.journal, postbox, temporal).look(datetime.now(UTC) + LATER)
        board = await team.until(lambda board: len(board.messages) == 3)
        assert {view.state for view in board.messages.values()} == {MessageState.EXPIRED}
        assert postbox.overdue(datetime.now(UTC) + LATER) == []


async def test_a_message_of_a_run_without_workflows_expires(paths: Paths, temporal: Client, postbox: Postbox) -> None:
    async with Team(paths, temporal, asks, replay=False) as team:
        team.stack.callback(postbox.close)
        envelope = message("m-1", "alice")
        named = {"at": envelope.sent_at, "fleet": team.fleet, "run": "r", "agent": USER}
        team.journal.append(ev.MessageAccepted.model_validate({**named, "id": "m-1/taken", "envelope": envelope}))
        await Expiry(team.journal, postbox, temporal).look(datetime.now(UTC) + LATER)
        found = postbox.find("m-1")
        assert found is not None
        assert found.state is MessageState.EXPIRED


async def test_a_confirmation_the_user_does_not_decide_in_time_is_taken_back(
    paths: Paths, temporal: Client, postbox: Postbox
) -> None:
    """The asker's workflow does it: the approval would stay open for ever, and an answer would come too late."""

    async def script(turn: Turn) -> None:
        if turn.agent == "alice" and turn.number == 1:
            ask = {"recipient": USER, "kind": "confirm", "mode": "async", "body": "Shall I?"}
            await turn.call("send_message", **ask, expires_after_seconds=60)

    async with Team(paths, temporal, script) as team:
        team.stack.callback(postbox.close)
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts) and board.quiet)
        (asked,) = board.open_interrupts
        expiry = Expiry(team.journal, postbox, temporal)
        await expiry.look(datetime.now(UTC))
        assert (await team.until(lambda board: True)).open_interrupts == [asked]
        await expiry.look(datetime.now(UTC) + LATER)
        board = await team.until(lambda board: not board.open_interrupts)
        assert board.interrupts[asked.id].state is InterruptState.WITHDRAWN
        board = await team.until(lambda board: asked.message_id in _expired(board))
        assert "in time" in board.messages[asked.message_id or ""].reason
        with pytest.raises(AlreadyAnswered):
            await team.control.answer(team.fleet, asked.id, Answer(option=ACCEPT))


def _expired(board: Board) -> list[str]:
    return [name for name, view in board.messages.items() if view.state is MessageState.EXPIRED]
