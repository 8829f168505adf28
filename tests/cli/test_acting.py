"""``answer``, ``send`` and ``stop``, with a team at work and without."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, InterruptKind, InterruptState
from tests.cli.conftest import AtWork, Desk, Skerry
from tests.team import Turn
from tests.ui.story import Story


async def ask_then_finish(turn: Turn) -> None:
    """Alice asks for a colour; bob writes to nobody and ends."""
    if turn.agent == "bob" or "Answer to i-" in turn.prompt or "instructions" in turn.prompt:
        await turn.call("finish", summary=f"{turn.agent} is done")
    elif turn.number == 1:
        await turn.call("ask_user", question="Which colour?", options=["red", "blue"], default="blue")


async def asked(desk: Desk) -> str:
    """The id of alice's question."""
    await desk.team.start()
    board = await desk.team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
    return board.open_interrupts[0].id


async def test_an_answer_by_number_and_a_second_one(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        question = await asked(desk)
        await desk.team.until(lambda board: board.agents["bob"].state is AgentStatus.COMPLETED)
        assert (await desk.type("answer", question)).complained(
            2, "what is your answer?", "say one of 1 (red), 2 (blue)"
        )
        assert (await desk.type("answer", question, "3")).complained(1, "has no option 3", "1 (red), 2 (blue)")
        assert (await desk.type("answer", "i-zz", "1")).complained(1, "there is no interrupt 'i-zz'")
        assert (await desk.type("answer", question + "0", "1")).complained(1, f"did you mean {question}?")
        done = await desk.type("answer", question[:6], "1")
        assert (done.returncode, done.stdout) == (0, "alice has your answer: red\n")
        await desk.team.until(lambda board: board.outcome == "completed")
        again = await desk.type("answer", question, "2")
        assert again.complained(1, "has its answer already: red (by user)", "skerry send alice")
        assert "Answer to" in next(turn.prompt for turn in desk.team.turns if turn.number == 2)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("BLUE ",), Answer(option="blue")),
        (("green, if you can",), Answer(text="green, if you can")),
        (("--default",), Answer(option="blue")),
    ],
)
async def test_other_ways_to_answer(at_work: AtWork, words: tuple[str, ...], answer: Answer) -> None:
    async with at_work(ask_then_finish) as desk:
        question = await asked(desk)
        done = await desk.type("answer", question, *words, "--json")
        assert json.loads(done.stdout)["answer"] == answer.model_dump()
        board = await desk.team.until(lambda board: board.outcome == "completed")
        assert board.interrupts[question].answer == answer


async def test_an_answer_may_be_new_instructions_or_the_end(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        question = await asked(desk)
        assert (await desk.type("answer", question, "--modify")).complained(1, "new instructions are empty")
        done = await desk.type("answer", question, "--cancel")
        assert done.stdout == "alice is told to stop\n"
        board = await desk.team.until(lambda board: board.outcome != "")
        assert (board.agents["alice"].state, board.agents["alice"].reason) == (
            AgentStatus.STOPPED,
            "cancelled by the user",
        )


async def test_a_message_from_the_user(at_work: AtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "bob" or "Are you well?" in turn.prompt:
            await turn.call("finish", summary=f"{turn.agent} is done")

    async with at_work(script) as desk:
        await desk.team.start()
        await desk.team.until(
            lambda board: (
                (board.agents["alice"].state, board.agents["bob"].state) == (AgentStatus.IDLE, AgentStatus.COMPLETED)
            )
        )
        assert (await desk.type("send", "alcie", "Hi")).complained(1, "no agent 'alcie'", "did you mean alice?")
        assert (await desk.type("send", "bob", "Hi")).complained(
            1, "bob has ended (completed: bob is done)", "skerry start bob"
        )
        assert (await desk.type("send", "alice", " ")).complained(1, "the message has no text")
        assert (await desk.type("send", "alice", "\x1b[2J")).complained(1, "forbidden character U+001B")
        assert (await desk.type("send", "alice", "x" * 70_000)).complained(1, "70000 bytes")
        monkeypatch.setattr("sys.stdin", io.StringIO("Are you well?\n"))
        done = await desk.type("send", "alice", "-", "--subject", "A question", "--json")
        sent = json.loads(done.stdout)
        assert sent["state"] == "delivered"
        board = await desk.team.until(lambda board: board.outcome == "completed")
        assert board.messages[sent["id"]].envelope.body == "Are you well?"
        assert board.messages[sent["id"]].state is MessageState.READ


@pytest.mark.slow
async def test_one_agent_or_all_are_stopped(at_work: AtWork) -> None:
    async def script(turn: Turn) -> None:
        await asyncio.sleep(600)

    async with at_work(script) as desk:
        await desk.team.start()
        await desk.team.until(lambda board: all(view.turn == 1 for view in board.agents.values()))
        assert (await desk.type("stop", "carol")).complained(1, "there is no agent 'carol'", "alice, bob")
        assert (await desk.type("stop", "bob", "--team")).complained(2, "exclude each other")
        assert (await desk.type("stop", "bob")).stdout == "bob is told to stop\n"
        await desk.team.until(lambda board: board.agents["bob"].state is AgentStatus.STOPPED)
        assert (await desk.type("stop", "bob")).complained(1, "bob has ended (stopped: stopped by the user)")
        assert (await desk.type("stop", "--team")).stdout == "the team is told to stop\n"
        await desk.team.until(lambda board: board.outcome == "stopped")
        assert (await desk.type("stop", "--team")).complained(1, "the team of demo is not at work")


def test_without_an_engine(story: Story, skerry: Skerry) -> None:
    assert skerry("stop").stdout == "no engine was running\n"
    assert skerry("send", "dev-agent", "Hi").complained(1, "dev-agent is not at work", "skerry run")
    assert skerry("stop", "--team").complained(1, "not at work")
    story.start()
    story.state("dev-agent", AgentStatus.RUNNING, "begins its task")
    question = story.ask("dev-agent", "Go on?")
    assert skerry("send", "dev-agent", "Hi").complained(3, "no engine is running", "skerry run")
    assert skerry("answer", question, "yes").complained(3, "no engine is running", "skerry run")
    assert skerry("stop", "dev-agent").complained(3, "no engine is running")


def test_what_needs_no_answer_any_more(story: Story, skerry: Skerry) -> None:
    story.start()
    approval = story.ask("dev-agent", "May I?", options=("Yes", "No"), kind=InterruptKind.APPROVAL)
    assert skerry("answer", approval, "perhaps").complained(1, "needs one of its options", "Yes, No")
    from app.domain.events import InterruptSettled

    story.tell(InterruptSettled, interrupt_id=approval, state=InterruptState.WITHDRAWN)
    assert skerry("answer", approval, "1").complained(1, "is withdrawn: nobody needs an answer any more")


def test_stop_tells_programs_that_there_was_no_engine(skerry: Skerry) -> None:
    done = skerry("stop", "--json")
    assert json.loads(done.stdout) == {"engine": "not running", "machines_go_on": []}
