"""The agent's workflow on a real Temporal server: turns, messages, questions, ends."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.errors import ActionRefused, AlreadyAnswered, ConfigError, NotFound
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.domain.ports import Said
from app.workflows.post import DELIVER_ONCE, REFUSE
from tests.team import Team, Turn, read


async def finish(turn: Turn) -> None:
    await turn.call("finish", summary=f"{turn.agent} is done")


async def test_a_team_of_two_passes_a_message_and_finishes(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        await turn.observer.said(Said("At work."))
        if turn.agent == "alice":
            sent = await turn.call("send_message", recipient="bob", subject="Hello", body="Please look at this.")
            assert sent.text.startswith("Accepted as m-")
            await finish(turn)
        elif "Please look at this." in turn.prompt:
            await turn.call("memory_append", text="Alice wrote to me.")
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert {view.state for view in board.agents.values()} == {AgentStatus.COMPLETED}
        (message,) = board.messages.values()
        assert [state for state, _, _ in message.history] == [
            MessageState.ACCEPTED,
            MessageState.DELIVERED,
            MessageState.READ,
        ]
        assert "Alice wrote to me." in read(team.project.memory_file(team.project.fleet.agent("bob")))
        assert team.host.running == set()
        assert len(team.host.machines) == 2, "the disks of ended agents are kept"


async def test_the_same_call_twice_sends_once(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            for _ in range(3):
                await turn.call("send_message", recipient="bob", body="Once.")
                await turn.call("memory_append", text="Sent it once.")
            await finish(turn)
        elif "Once." in turn.prompt:
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome != "")
        assert len(board.messages) == 1
        assert read(team.project.memory_file(team.project.fleet.agent("alice"))).count("Sent it once.") == 1


async def test_a_question_waits_for_the_user_and_takes_one_answer(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "bob" or "Answer to i-" in turn.prompt:
            await finish(turn)
        else:
            asked = await turn.call("ask_user", question="Which colour?", options=["red", "blue"], default="blue")
            assert "End your turn" in asked.text

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        assert board.agents["alice"].reason == "your answer: Which colour?"
        (question,) = board.open_interrupts
        with pytest.raises(ActionRefused, match="not an option"):
            await team.control.answer(team.fleet, question.id, Answer(option="green"))
        first = team.control.answer(team.fleet, question.id, Answer(option="red"))
        second = team.control.answer(team.fleet, question.id, Answer(option="blue"))
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert sorted(type(item).__name__ for item in results) == ["AlreadyAnswered", "Interrupt"]
        with pytest.raises(AlreadyAnswered):
            await team.control.answer(team.fleet, question.id, Answer(option="blue"))
        board = await team.until(lambda board: board.outcome == "completed")
        settled = board.interrupts[question.id].answer
        assert settled is not None
        told = next(turn for turn in team.turns if "Answer to" in turn.prompt)
        assert f"Answer to {question.id}: {settled.option}" in told.prompt


@pytest.mark.parametrize("option", [DELIVER_ONCE, REFUSE])
async def test_an_indirect_message_is_held_until_the_user_decides(paths: Paths, temporal: Client, option: str) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "bob" and turn.number == 1:
            held = await turn.call("send_message", recipient="alice", subject="Hi", body="May I?")
            assert held.text.startswith("Held as m-")
        if turn.agent == "bob" or "May I?" in turn.prompt or option == REFUSE:
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(
            lambda board: board.agents["bob"].state is AgentStatus.WAITING and bool(board.open_interrupts)
        )
        assert board.agents["bob"].reason.startswith("your approval: ")
        assert not board.quiet
        (approval,) = board.open_interrupts
        await team.control.answer(team.fleet, approval.id, Answer(option=option))
        board = await team.until(lambda board: board.outcome != "")
        (message,) = board.messages.values()
        wanted = MessageState.READ if option == DELIVER_ONCE else MessageState.REFUSED
        assert message.state is wanted


async def test_who_may_not_be_written_to_is_said_to_the_sender(paths: Paths, temporal: Client) -> None:
    told: list[str] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            told.append((await turn.call("send_message", recipient="carol", body="Hi")).text)
            told.append((await turn.call("send_message", recipient="alice", body="Hi")).text)
            with pytest.raises(ActionRefused, match="you have received no message"):
                await turn.call("reply", message_id="m-000000000000", body="Hi")
            with pytest.raises(ActionRefused, match="forbidden character"):
                await turn.call("send_message", recipient="bob", body="\x1b[2J")
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert told == [
            "Refused: there is no agent 'carol'; the team: bob, user.",
            "Refused: you cannot write to yourself; keep notes with memory_append.",
        ]


async def test_a_message_to_an_agent_that_has_ended_comes_back(paths: Paths, temporal: Client) -> None:
    ended = asyncio.Event()
    told: list[str] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await ended.wait()
            told.append((await turn.call("send_message", recipient="bob", body="Still there?")).text)
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.COMPLETED)
        await asyncio.sleep(0.5)
        ended.set()
        board = await team.until(lambda board: board.outcome == "completed")
        (message,) = board.messages.values()
        assert told == [f"Accepted as {message.envelope.id}."]
        assert (message.state, message.reason) == (MessageState.REFUSED, "bob has ended and reads no more messages")


async def test_the_user_writes_to_an_agent(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "bob" or "Are you well?" in turn.prompt:
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        await team.control.send(team.fleet, "alice", "Are you well?")
        await team.until(lambda board: board.outcome == "completed")
        with pytest.raises(NotFound, match="not at work"):
            await team.control.send(team.fleet, "alice", "And now?")


async def test_inbox_read_in_the_turn_is_not_brought_again(paths: Paths, temporal: Client) -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await turn.call("send_message", recipient="bob", body="First.")
            go.set()
        else:
            await go.wait()
            inbox = await turn.call("read_inbox")
            again = await turn.call("read_inbox")
            assert "First." in inbox.text
            assert again.text == inbox.text, "a repeated call after a crash must not lose the text"
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed")
        assert [turn.number for turn in team.turns if turn.agent == "bob"] == [1]
        assert [view.state for view in board.messages.values()] == [MessageState.READ]


async def test_stop_cancels_a_running_turn(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        await asyncio.sleep(600)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: all(view.turn == 1 for view in board.agents.values()))
        await team.control.stop_fleet(team.fleet, "enough")
        board = await team.until(lambda board: board.outcome != "", seconds=15)
        assert board.outcome == "stopped"
        assert {view.reason for view in board.agents.values()} == {"enough"}
        assert team.host.running == set()


async def test_a_second_start_joins_the_run(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        await turn.call("report_progress", summary="Half of it.")

    async with Team(paths, temporal, script) as team:
        first = await team.start()
        assert await team.start() == first
        board = await team.until(lambda board: board.quiet)
        assert len(team.facts(ev.RunStarted)) == 1
        assert len(board.open_interrupts) == 2
        assert not any(item.blocking for item in board.open_interrupts)


async def test_an_agent_that_fails_says_why_and_the_others_go_on(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "bob":
            raise ConfigError("bob's rules cannot be read", hint="mend them")
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "failed"
        assert board.agents["alice"].state is AgentStatus.COMPLETED
        assert board.agents["bob"].state is AgentStatus.FAILED
        assert board.agents["bob"].reason == "bob's rules cannot be read (mend them)"
        assert team.host.running == set(), "the machine of a failed agent is powered off"
