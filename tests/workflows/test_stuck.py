"""Agents that do not get on: one question each, with evidence, and not again before they have."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.errors import SandboxLost
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, InterruptKind
from app.domain.limits import CANCEL_TURN, LET_GO_ON, RESTART, WAIT_ON
from app.domain.ports import Said, ToolActivity
from tests.team import Team, Turn
from tests.workflows.asking import PROJECT

PAIR = """
project: {name: pair}
defaults: {type: codex, limits: {ping_pong: 6}}
agents:
  - {id: alice, direct_communication: [bob]}
  - {id: bob, direct_communication: [alice]}
"""


def failed(number: int, output: str = "no such file (pid 17)") -> ToolActivity:
    return ToolActivity(f"c{number}", "make", "execute", "failed", command="make all", output=output, exit_status=2)


async def test_silence_is_asked_about_once_and_instructions_end_the_turn(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if "Leave the tests" in turn.prompt:
            await turn.call("finish", summary="done")
            return
        await turn.observer.said(Said("I look into it."))
        await turn.observer.tool(ToolActivity("c1", "sleep", "execute", "in_progress", command="sleep 9999"))
        await asyncio.sleep(600)

    async with Team(paths, temporal, script, text=PROJECT.format(limits="stall: 1s")) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert (asked.kind, asked.about, asked.default) == (InterruptKind.DEBUG_REQUEST, "stall", WAIT_ON)
        assert "sleep 9999" in asked.body and "said: I look into it." in asked.body
        await team.until(lambda board: board.agents["alice"].reason == "has made no progress; you are asked about it")
        await asyncio.sleep(3)
        board = await team.until(lambda board: True)
        assert len(board.interrupts) == 1, "an open question is not asked again"
        await team.control.answer(team.fleet, asked.id, Answer(option=WAIT_ON))
        await team.until(lambda board: board.agents["alice"].reason == "begins its task")
        await asyncio.sleep(3)
        board = await team.until(lambda board: True)
        assert len(board.interrupts) == 1, "nor one that is answered, as long as nothing has come since"
        await team.turns[0].observer.tool(ToolActivity("c2", "ls", "execute", "completed", command="ls", exit_status=0))
        board = await team.until(lambda board: bool(board.open_interrupts))
        (again,) = board.open_interrupts
        await team.control.answer(team.fleet, again.id, Answer(text="Leave the tests alone."))
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["cancelled", "end_turn"]


async def test_the_same_failure_three_times(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        for number in range(2):
            await turn.observer.tool(failed(number))
        await turn.observer.tool(failed(2, "another error"))  # something has changed
        for number in range(3, 6):
            await turn.observer.tool(failed(number, f"no such file (pid {number})"))
        await asyncio.sleep(600)

    async with Team(paths, temporal, script, text=PROJECT.format(limits="stall: 1h")) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert asked.about == "failures"
        assert asked.title == "alice fails at the same action: make all"
        assert "It failed 3 times in a row" in asked.body and "no such file (pid 5)" in asked.body
        await team.control.answer(team.fleet, asked.id, Answer(option=CANCEL_TURN))
        board = await team.until(lambda board: board.quiet)
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["cancelled"]
        assert board.agents["alice"].state is AgentStatus.IDLE


async def test_two_that_thank_each_other_are_held(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 1 and turn.agent == "bob":
            return
        other = "bob" if turn.agent == "alice" else "alice"
        await turn.call("send_message", recipient=other, body=f"Thank you! ({turn.number})")

    async with Team(paths, temporal, script, text=PAIR) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert (asked.about, asked.blocking) == ("ping_pong:alice+bob", True)
        assert asked.body.count("Thank you!") >= 6
        await team.until(
            lambda board: (
                board.agents[asked.agent].state is AgentStatus.WAITING
                and all(view.state is not AgentStatus.RUNNING for view in board.agents.values())
            )
        )
        before = len(team.turns)
        await team.control.answer(team.fleet, asked.id, Answer(option=LET_GO_ON))
        await team.until(lambda board: len(team.turns) > before + 8)
        board = await team.until(lambda board: True)
        assert len(board.interrupts) == 1, "answered, and nothing came of it since: it is not asked again"


async def test_a_lost_machine_is_asked_about_when_it_does_not_come_back(paths: Paths, temporal: Client) -> None:
    broken = True

    async def script(turn: Turn) -> None:
        if broken:
            raise SandboxLost("alice is gone", operation="use the machine")
        await turn.call("finish", summary="done")

    async with Team(paths, temporal, script, text=PROJECT.format(limits="stall: 1h")) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts), seconds=60)
        (asked,) = board.open_interrupts
        assert asked.about == "sandbox_lost"
        assert board.agents["alice"].reason == "its machine is lost: alice is gone"
        broken = False
        await team.control.answer(team.fleet, asked.id, Answer(option=RESTART))
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert len(team.facts(ev.TurnStarted)) == 1
