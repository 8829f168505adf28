"""A message that was accepted and did not reach its recipient: the sender is told, once."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from app.config import Paths
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.workflows import steps
from app.workflows.state import AgentState
from tests.team import Team, Turn

BOUNCED = "was refused: bob has ended and reads no more messages"


def prompts_of(team: Team, agent: str) -> list[str]:
    return [turn.prompt for turn in team.turns if turn.agent == agent]


async def test_who_may_wait_for_an_answer_is_woken_and_told(paths: Paths, temporal: Client) -> None:
    gone = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "bob":
            await turn.call("finish", summary="done")
        elif turn.number == 1:
            await gone.wait()
            await turn.call("send_message", recipient="bob", body="Still there?")

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.COMPLETED)
        gone.set()
        # She may be told before it is on record.
        await team.until(lambda board: board.agents["alice"].turn == 2)
        board = await team.until(
            lambda board: [view.state for view in board.messages.values()] == [MessageState.REFUSED]
        )
        (message,) = board.messages.values()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert prompts_of(team, "alice")[1:] == [
            f"Your message {message.envelope.id} to bob {BOUNCED}. Nobody has read it."
        ]


async def test_who_has_waited_for_it_was_told_already(paths: Paths, temporal: Client) -> None:
    gone, told = asyncio.Event(), []

    async def script(turn: Turn) -> None:
        if turn.agent == "bob":
            await turn.call("finish", summary="done")
        elif turn.number == 1:
            await gone.wait()
            told.append((await turn.call("send_message", recipient="bob", body="Still there?", mode="sync")).text)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.COMPLETED)
        gone.set()
        await team.until(lambda board: bool(told) and board.agents["alice"].state is AgentStatus.IDLE)
        await team.control.send(team.fleet, "alice", "Go on.")
        await team.until(lambda board: len(prompts_of(team, "alice")) == 2)
        assert told == ["Refused: bob has ended and reads no more messages."]
        assert "refused" not in prompts_of(team, "alice")[1]


def test_what_a_turn_should_have_said_is_said_by_the_next_when_it_is_forgotten() -> None:
    order = steps.AgentOrder(fleet="f", run="r", agent="alice", project_file="")
    item = steps.Bounced(message_id="m-1", recipient="bob", reason="bob has ended")
    state = AgentState(turn=1)
    for _ in range(2):  # the record of it was tried again
        state.bounce(item)
    assert state.next_cause() == "messages"
    turn = state.begin_turn(order)
    assert (turn.bounced, state.bounced, state.next_cause()) == ((item,), [], None)
    state.put_back(turn)
    assert state.bounced == [item]
    state.end_wait(steps.WaitEnd(message_id="m-1"))
    assert state.bounced == []


def test_nobody_is_woken_for_a_reply_or_after_the_end() -> None:
    state = AgentState(turn=1)
    state.bounce(steps.Bounced(message_id="m-1", recipient="bob", reason="bob has ended", reply=True))
    assert state.next_cause() is None
    state.bounce(steps.Bounced(message_id="m-2", recipient="bob", reason="bob has ended"))
    assert state.next_cause() == "messages"
    state.finish = "done"
    assert state.next_cause() is None
