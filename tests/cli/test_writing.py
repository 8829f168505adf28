"""``send`` that waits, keys, replies of the user, threads, and ``reload``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from app.control import Letter
from app.domain.envelope import MessageState
from app.domain.errors import AgentEnded
from app.domain.events import AgentStatus
from app.engine.expiry import Expiry
from app.workflows.state import MAX_INBOX
from tests.cli.conftest import AtWork, Desk
from tests.team import Script, Turn


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
        assert json.loads(done.stdout) == {"added": ["carol"], "removed": [], "changed": ["alice"], "later": []}
        await desk.team.until(lambda board: board.agents["carol"].state is AgentStatus.IDLE)
        file.write_text(good.replace("Begin.", "Begin well.\n    sandbox: {cpus: 2}"))
        done = await desk.type("reload")
        assert done.stdout.splitlines() == [
            "removed: carol",
            "changed: alice",
            "alice keeps the virtual machine it has; for one as agents.yaml has it now: skerry reset alice",
        ]
        board = await desk.team.until(lambda board: board.agents["carol"].state is AgentStatus.STOPPED)
        assert board.agents["carol"].reason == "removed from agents.yaml"
        assert (await desk.type("reload")).stdout == "agents.yaml is read again: the same agents\n"


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


async def decides(turn: Turn) -> None:
    for line in turn.prompt.splitlines():
        if line.startswith("Message m-"):
            await turn.call("confirm", message_id=line.split()[1], decision="decline", reason="The tests fail.")


async def test_the_agent_must_decide(at_work: AtWork) -> None:
    async with at_work(decides) as desk:
        await resting(desk)
        done = await desk.type("send", "alice", "Shall we merge?", "--confirm", "--sync", "--timeout", "20s")
        assert (done.returncode, done.stdout) == (0, "alice: decline\nDeclined: The tests fail.\n")
        found = json.loads((await desk.type("send", "bob", "And you?", "--confirm", "--sync", "--json")).stdout)
        assert found["state"] == "answered" and found["reply"]["data"] == {"decision": "decline"}


async def test_the_user_declines_with_a_reason(at_work: AtWork) -> None:
    told: list[str] = []

    async def asks(turn: Turn) -> None:
        if turn.agent == "alice" and turn.number == 1:
            told.append((await turn.call("send_message", recipient="user", body="May I?", kind="confirm")).text)

    async with at_work(asks) as desk:
        await desk.team.start()
        board = await desk.team.until(lambda board: bool(board.open_interrupts))
        name = board.open_interrupts[0].id
        assert (await desk.type("answer", name, "--cancel", "--reason", "No")).complained(2, "goes with an option")
        done = await desk.type("answer", name, "decline", "--reason", "Not on a Friday.")
        assert (done.returncode, done.stdout) == (0, "alice has your answer: Decline\n")
        await desk.team.until(lambda board: bool(told))
        assert told[0].endswith("Declined: Not on a Friday.")


async def test_files_go_along(at_work: AtWork, tmp_path: Path) -> None:
    table, missing, empty = tmp_path / "table.txt", tmp_path / "none.txt", tmp_path / "folder"
    table.write_text("1 1\n2 4\n")
    empty.mkdir()
    async with at_work(answers) as desk:
        await resting(desk)
        assert (await desk.type("send", "bob", "See", "--attach", str(missing))).complained(1, "none.txt")
        assert (await desk.type("send", "bob", "See", "--attach", str(empty))).complained(1, "folder")
        sent = json.loads((await desk.type("send", "bob", "See", "--attach", str(table), "--json")).stdout)
        board = await desk.team.until(lambda board: board.messages[sent["id"]].state is MessageState.READ)
        (attachment,) = board.messages[sent["id"]].envelope.attachments
        assert (attachment.name, attachment.size) == ("table.txt", 8)
        assert desk.team.mail.files.read(attachment) == b"1 1\n2 4\n"
        assert len(board.messages) == 1, "what could not go along was not sent without it"


def busy(free: asyncio.Event) -> Script:
    """Bob is in his first turn until ``free``."""

    async def script(turn: Turn) -> None:
        if turn.agent == "bob":
            await free.wait()

    return script


async def test_what_is_unread_in_time_is_withdrawn(at_work: AtWork) -> None:
    free = asyncio.Event()
    async with at_work(busy(free)) as desk:
        await desk.team.start()
        await desk.team.until(lambda board: board.agents["bob"].turn == 1)
        sent = json.loads((await desk.type("send", "bob", "Quick", "--expires", "1s", "--json")).stdout)
        expiry = asyncio.create_task(Expiry(desk.team.journal, desk.team.mail.postbox, desk.team.client).run())
        late = await desk.type("send", "bob", "Quick?", "--sync", "--timeout", "1s")
        assert late.complained(5, "bob did not read m-", "give it more time with --timeout"), late
        board = await desk.team.until(lambda board: board.messages[sent["id"]].state is MessageState.EXPIRED)
        assert {view.state for view in board.messages.values()} == {MessageState.EXPIRED}
        expiry.cancel()
        free.set()


async def test_a_full_inbox_takes_no_more_and_says_what_to_do(at_work: AtWork) -> None:
    free = asyncio.Event()
    async with at_work(busy(free)) as desk:
        await desk.team.start()
        await desk.team.until(lambda board: board.agents["bob"].turn == 1)
        for number in range(MAX_INBOX):
            await desk.team.control.send(desk.team.fleet, "bob", f"Text {number}")
        full = await desk.type("send", "bob", "One more")
        assert full.complained(1, f"bob has {MAX_INBOX} unread messages"), full
        board = await desk.team.until(lambda board: board.agents["bob"].unread == MAX_INBOX)
        assert len(board.messages) == MAX_INBOX, "what was refused is nowhere"
        free.set()
