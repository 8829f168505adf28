"""A message that was accepted and did not reach its recipient: the sender is told, once."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from app.config import Paths
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
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
        board = await team.until(lambda board: board.agents["alice"].turn == 2)
        (message,) = board.messages.values()
        assert message.state is MessageState.REFUSED
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
