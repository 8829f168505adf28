"""``send`` that waits, keys, replies of the user, threads, and ``reload``."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.control import Letter
from app.domain.envelope import MessageState
from app.domain.errors import AgentEnded
from app.domain.events import AgentStatus
from tests.cli.conftest import AtWork, Desk
from tests.team import Turn


async def answers(turn: Turn) -> None:
    """Alice answers what she is asked; bob reads, and says nothing."""
    if turn.agent == "alice" and "Which port?" in turn.prompt:
        message_id = next(word.strip(":,()") for word in turn.prompt.split() if word.startswith("m-"))
        await turn.call("reply", message_id=message_id, body="Port 8080.")
    elif turn.agent == "alice" and "Write to me" in turn.prompt:
        await turn.call("send_message", recipient="user", subject="As you wished", body="Here I am.")


async def resting(desk: Desk) -> None:
    await desk.team.start()
    await desk.team.until(lambda board: all(view.state is AgentStatus.IDLE for view in board.agents.values()))


async def test_a_question_gets_its_reply(at_work: AtWork) -> None:
    async with at_work(answers) as desk:
        await resting(desk)
        done = await desk.type("send", "alice", "Which port?", "--sync", "--timeout", "20s")
        assert (done.returncode, done.stdout) == (0, "Port 8080.\n")
        board = await desk.team.until(
            lambda board: any(view.state is MessageState.ANSWERED for view in board.messages.values())
        )
        asked = next(view for view in board.messages.values() if view.envelope.sender == "user")
        reply = next(view for view in board.messages.values() if view.envelope.reply_to == asked.envelope.id)
        assert reply.state is MessageState.READ
        thread = await desk.type("messages", "--thread", reply.envelope.id)
        assert thread.stdout.index("Which port?") < thread.stdout.index("Port 8080.")
        assert "answered" in thread.stdout
        listed = json.loads((await desk.type("messages", "--state", "answered", "--json")).stdout)
        assert [item["id"] for item in listed["messages"]] == [asked.envelope.id]


async def test_read_is_enough_or_the_time_is_over(at_work: AtWork) -> None:
    async with at_work(answers) as desk:
        await resting(desk)
        assert "bob has read m-" in (await desk.type("send", "bob", "Hello", "--await", "ack")).stdout
        late = await desk.type("send", "bob", "Any news?", "--sync", "--timeout", "2s")
        assert late.complained(6, "bob has read it and not answered yet", "skerry messages --thread m-")
        assert (await desk.type("send", "bob", "Hi", "--timeout", "5s")).complained(2, "--timeout goes with --sync")
        assert (await desk.type("send", "bob", "Hi", "--sync", "--timeout", "soon")).complained(2, "--timeout 'soon'")


async def test_a_key_is_delivered_once(at_work: AtWork) -> None:
    async with at_work(answers) as desk:
        await resting(desk)
        first = json.loads((await desk.type("send", "bob", "Once", "--key", "k", "--json")).stdout)
        assert json.loads((await desk.type("send", "bob", "Once", "--key", "k", "--json")).stdout) == first
        assert (await desk.type("send", "bob", "Twice", "--key", "k")).complained(1, "belongs to another message")
        board = await desk.team.until(lambda board: board.messages[first["id"]].state is MessageState.READ)
        assert len(board.messages) == 1


async def test_the_user_reads_and_replies(at_work: AtWork) -> None:
    async with at_work(answers) as desk:
        await resting(desk)
        await desk.type("send", "alice", "Write to me")
        board = await desk.team.until(
            lambda board: any(
                view.envelope.recipient == "user" and view.state is MessageState.DELIVERED
                for view in board.messages.values()
            )
        )
        hers = next(view.envelope.id for view in board.messages.values() if view.envelope.recipient == "user")
        assert "Here I am." in (await desk.type("messages", hers)).stdout
        await desk.team.until(lambda board: board.messages[hers].state is MessageState.READ)
        assert (await desk.type("send", "alice", "Good", "--reply-to", "m-nothing")).complained(1, "no message")
        assert (await desk.type("send", "alice", "Good", "--reply-to", hers)).returncode == 0
        board = await desk.team.until(lambda board: board.messages[hers].state is MessageState.ANSWERED)
        assert any(view.envelope.reply_to == hers for view in board.messages.values())


async def test_a_changed_team(at_work: AtWork) -> None:
    async with at_work(answers) as desk:
        await resting(desk)
        file = desk.team.project.root / "agents.yaml"
        good = file.read_text()
        file.write_text(good + "  - {id: bob, type: codex}\n")
        assert (await desk.type("reload")).returncode == 2
        file.write_text(good.replace("Begin.", "Begin well.") + "  - {id: carol, type: codex}\n")
        done = await desk.type("reload", "--json")
        assert json.loads(done.stdout) == {"added": ["carol"], "removed": [], "changed": ["alice"]}
        await desk.team.until(lambda board: board.agents["carol"].state is AgentStatus.IDLE)


async def test_the_agent_ends_meanwhile(at_work: AtWork) -> None:
    async def busy(turn: Turn) -> None:
        if turn.agent == "bob":
            await asyncio.sleep(600)

    async with at_work(busy) as desk:
        await desk.team.start()
        await desk.team.until(lambda board: board.agents["bob"].turn == 1)
        waiting = asyncio.create_task(
            desk.team.control.ask(desk.team.fleet, Letter("bob", "Are you there?", sync=True, timeout=20))
        )
        await desk.team.until(lambda board: bool(board.messages))
        await desk.team.control.stop_agent(desk.team.fleet, "bob")
        with pytest.raises(AgentEnded, match="bob ended before it had read m-"):
            await waiting
