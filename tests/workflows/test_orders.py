"""What a person orders: new instructions, ends of turns and tasks; questions for a while; approving everything."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.errors import ActionRefused, AlreadyAnswered, NotFound
from app.domain.events import AgentStatus
from app.domain.instructions import TASK_CANCELLED
from app.domain.interrupt import Answer, InterruptKind, InterruptState, Risk
from app.engine.approving import Approver, approving
from app.workflows.orders import TASK_CANCELLED as TASK_REASON
from app.workflows.orders import TURN_CANCELLED
from app.workflows.post import DELIVER_ONCE, REFUSE
from tests.team import Team, Turn

ALONE = """
project: {name: demo}
agents:
  - {id: alice, type: codex, initial_instructions: Begin.}
"""


async def ask(turn: Turn, **more: object) -> None:
    await turn.call("ask_user", question="Which colour?", options=["red", "blue"], **more)


async def test_a_question_has_a_risk_and_exhibits(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        exhibit = {"name": "fix.diff", "media_type": "text/x-diff", "text": "-a\n+b"}
        with pytest.raises(ActionRefused, match="are allowed"):
            await ask(turn, exhibits=[exhibit | {"text": "x" * 40_000}])
        await ask(turn, risk="high", exhibits=[exhibit])

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert asked.risk is Risk.HIGH
        assert [(item.name, item.text) for item in asked.exhibits] == [("fix.diff", "-a\n+b")]


@pytest.mark.parametrize("default", ["blue", ""])
async def test_nobody_answers_in_time(paths: Paths, temporal: Client, default: str) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 1:
            await ask(turn, default=default, expires_after_seconds=1)
        else:
            await turn.call("finish", summary="done")

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed")
        (asked,) = board.interrupts.values()
        assert asked.state is InterruptState.EXPIRED
        assert (asked.answer.option if asked.answer else "") == default
        assert "Nobody answered" in team.turns[1].prompt
        assert ("Your default applies: blue" in team.turns[1].prompt) is bool(default)
        with pytest.raises(AlreadyAnswered, match="is expired already at"):
            await team.control.answer(team.fleet, asked.id, Answer(option="red"))


async def test_a_late_answer_hears_whose_was_taken(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 1:
            await ask(turn)

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        await team.control.answer(team.fleet, asked.id, Answer(option="red"))
        with pytest.raises(AlreadyAnswered, match=r"is answered already at .* UTC by user: red"):
            await team.control.answer(team.fleet, asked.id, Answer(option="blue"))


async def test_new_instructions_come_with_the_next_turn_and_stay(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        pass

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        with pytest.raises(ActionRefused, match="empty"):
            await team.control.instruct(team.fleet, "alice", "  ")
        await team.control.instruct(team.fleet, "alice", "Write tests, too.")
        await team.until(lambda board: len(team.turns) == 2)
        await team.control.instruct(team.fleet, "alice", "Only write tests.", "replace")
        board = await team.until(lambda board: len(team.turns) == 3 and board.agents["alice"].state is AgentStatus.IDLE)
        assert "in addition to those you have:\n\nWrite tests, too." in team.turns[1].prompt
        assert team.turns[2].prompt.startswith("New instructions from the user, instead of those you had")
        assert [(item.mode, item.by) for item in board.instructions] == [("amend", "user"), ("replace", "user")]
        await team.control.reset_agent(team.fleet, "alice")
        await team.until(lambda board: len(team.turns) == 4)
        assert team.turns[3].prompt.startswith("Only write tests."), "a new conversation begins with what is in force"


async def test_an_answer_that_replaces_the_instructions(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 1:
            await ask(turn)

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        answer = Answer(action="modify", text="Forget colours.", mode="replace")
        await team.control.answer(team.fleet, board.open_interrupts[0].id, answer)
        board = await team.until(lambda board: len(team.turns) == 2)
        (change,) = board.instructions
        assert (change.mode, change.text, change.interrupt_id) == ("replace", "Forget colours.", change.interrupt_id)
        assert "New instructions from the user, instead of those you had, in answer to" in team.turns[1].prompt


async def test_a_cancelled_turn_ends_and_the_agent_waits_for_a_message(paths: Paths, temporal: Client) -> None:
    ended = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.number == 1:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].turn == 1 and bool(team.turns))
        await team.control.cancel_turn(team.fleet, "alice")
        assert ended.is_set(), "it returns when the turn is over"
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert board.agents["alice"].reason == TURN_CANCELLED
        assert [(fact.turn, fact.by) for fact in team.facts(ev.TurnCancelled)] == [(1, "user")]
        assert team.facts(ev.TurnEnded)[0].stop_reason == "cancelled"
        with pytest.raises(ActionRefused, match="no turn under way"):
            await team.control.cancel_turn(team.fleet, "alice")
        await team.control.send(team.fleet, "alice", "Go on with this.")
        await team.until(lambda board: len(team.turns) == 2)
        assert "Go on with this." in team.turns[1].prompt


async def test_a_cancelled_task_takes_its_questions_back(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 1:
            await ask(turn)

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        await team.control.cancel_task(team.fleet, "alice")
        board = await team.until(lambda board: board.agents["alice"].reason == TASK_REASON)
        (asked,) = board.interrupts.values()
        assert asked.state is InterruptState.WITHDRAWN
        with pytest.raises(AlreadyAnswered, match="withdrawn already"):
            await team.control.answer(team.fleet, asked.id, Answer(option="red"))
        await team.control.send(team.fleet, "alice", "Something else.")
        await team.until(lambda board: len(team.turns) == 2)
        assert TASK_CANCELLED in team.turns[1].prompt
        assert "Something else." in team.turns[1].prompt


async def test_an_answer_that_cancels_the_task_leaves_the_agent(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 1:
            await ask(turn)

    async with Team(paths, temporal, script, text=ALONE) as team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        answer = Answer(action="cancel", scope="task")
        await team.control.answer(team.fleet, board.open_interrupts[0].id, answer)
        board = await team.until(lambda board: board.agents["alice"].reason == TASK_REASON)
        assert board.agents["alice"].state is AgentStatus.IDLE
        assert [item.cancel for item in board.instructions] == [True]


async def hold_two(turn: Turn) -> None:
    if turn.agent == "bob" and turn.number == 1:
        for body in ("One.", "Two."):
            await turn.call("send_message", recipient="alice", subject="Hi", body=body)


async def test_approvals_of_one_group_are_answered_together(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, hold_two) as team:
        await team.start()
        board = await team.until(lambda board: len(board.open_interrupts) == 2)
        first = board.open_interrupts[0]
        answered = await team.control.answer_alike(team.fleet, first.id, Answer(option=REFUSE))
        assert len(answered) == 2
        board = await team.until(lambda board: not board.open_interrupts)
        assert {item.answer.option for item in board.interrupts.values() if item.answer} == {REFUSE}


async def test_everything_is_approved_for_a_while_and_each_is_on_record(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        await hold_two(turn)
        if turn.agent == "alice" and turn.number == 1:
            await ask(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: len(board.open_interrupts) == 3)
        with pytest.raises(ActionRefused, match="not a time"):
            await team.control.approve_all(team.fleet, timedelta(days=2))
        with pytest.raises(NotFound, match="not everything is approved"):
            await team.control.end_approve_all(team.fleet)
        until = await team.control.approve_all(team.fleet, timedelta(minutes=10), "bob")
        approver = Approver(team.journal, temporal)
        await approver.look(until + timedelta(seconds=1))
        assert len((await team.until(lambda board: True)).open_interrupts) == 3, "its time is over by then"
        async with approving(team.journal, temporal):  # as an engine does that starts now
            board = await team.until(lambda board: len(board.open_interrupts) == 1)
        assert board.open_interrupts[0].kind is InterruptKind.USER_INPUT, "a question is no approval"
        given = [item.answer for item in board.interrupts.values() if item.answer is not None]
        assert [(answer.option, answer.by) for answer in given] == [(DELIVER_ONCE, "approve-all")] * 2
        assert board.blankets == {"bob": until}
        await team.control.end_approve_all(team.fleet, "bob")
        assert (await team.until(lambda board: True)).blankets == {}
        with contextlib.suppress(NotFound):
            await approver.look(datetime.now(UTC))
