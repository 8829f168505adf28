"""What agents' tools for messages do, on a real Temporal server: waits, refusals, repeats, decisions."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client

from app.activities.tool_calls import ToolCalls
from app.config import Paths
from app.control.desk import shown_to_user
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.errors import ActionRefused
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.domain.ports import ActionResult
from app.workflows.agent import AgentWorkflow
from app.workflows.steps import agent_workflow_id
from tests.team import Team, Turn

FRIENDS = """
project: {name: demo}
defaults: {indirect_communication: allow}
agents:
"""


def team_of(*names: str) -> str:
    return FRIENDS + "".join(f"  - {{id: {name}, type: codex}}\n" for name in names)


def message_id(text: str) -> str:
    return next(word for word in text.replace(".", " ").split() if word.startswith("m-"))


async def finish(turn: Turn) -> None:
    await turn.call("finish", summary="done")


async def answer_all(turn: Turn, body: str = "Four.") -> None:
    for line in turn.prompt.splitlines():
        if line.startswith("Message m-"):
            await turn.call("reply", message_id=line.split()[1], body=body)


async def test_a_sync_message_returns_the_reply(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            told.append(await turn.call("send_message", recipient="bob", subject="Sum", body="2+2?", mode="sync"))
            told.append(await turn.call("read_inbox"))
            await finish(turn)
        elif "2+2?" in turn.prompt:
            await answer_all(turn)
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed")
        assert told[0].ok
        assert "from bob — Re: Sum\n\nFour." in told[0].text
        assert told[1].text == "No new messages.", "it was given as the answer already"
        asked, reply = board.messages.values()
        assert asked.envelope.hops == ("alice",)
        assert [state for state, _, _ in asked.history] == [
            MessageState.ACCEPTED,
            MessageState.DELIVERED,
            MessageState.READ,
            MessageState.ANSWERED,
        ]
        assert reply.state is MessageState.READ
        assert team.mail.postbox.waits(team.fleet, team.facts(ev.RunStarted)[0].run) == []
        assert not any("Four." in turn.prompt for turn in team.turns)


async def test_ack_returns_when_the_message_is_read(paths: Paths, temporal: Client) -> None:
    told: list[str] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            sent = await turn.call("send_message", recipient="bob", body="Look!", mode="sync", wait_for="ack")
            told.append(sent.text)
        if turn.agent == "alice" or "Look!" in turn.prompt:
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed")
        (message,) = board.messages
        assert told == [f"bob has read {message}."]


async def test_what_nobody_reads_in_time_expires(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []
    begun, over = asyncio.Event(), asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await begun.wait()  # else the message came with bob's first prompt
            arguments = {"recipient": "bob", "body": "Quick!", "mode": "sync", "timeout_seconds": 5}
            told.append(await turn.call("send_message", **arguments))
            over.set()
        else:
            begun.set()
            await over.wait()
        await finish(turn)

    async def expire(team: Team) -> None:
        await team.until(lambda board: any(m.state is MessageState.DELIVERED for m in board.messages.values()))
        await asyncio.sleep(5)
        (message,) = team.facts(ev.MessageAccepted)
        bob = team.client.get_workflow_handle(agent_workflow_id(team.fleet, "bob"))
        await bob.signal(AgentWorkflow.expire, [message.envelope.id])

    async with Team(paths, temporal, script) as team:
        await team.start()
        await expire(team)
        board = await team.until(lambda board: board.outcome == "completed")
        (message,) = board.messages.values()
        assert message.state is MessageState.EXPIRED
        assert not told[0].ok
        assert told[0].text.startswith(f"Expired: {message.envelope.id} to bob: ")


async def test_read_and_not_answered_ends_the_wait_with_words(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []
    later = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice" and turn.number == 1:
            arguments = {"recipient": "bob", "body": "Think.", "mode": "sync", "timeout_seconds": 5}
            told.append(await turn.call("send_message", **arguments))
            later.set()
        elif turn.agent == "bob" and "Think." in turn.prompt:
            await turn.observer.session_opened("")
            await turn.call("memory_append", text="I think.")
            team.journal.append(*team.mail.moved(team.roster[f"{team.fleet}/bob"].order, ids(turn), MessageState.READ))
            await later.wait()
            await answer_all(turn, "Thought.")
            await finish(turn)
        elif turn.agent == "alice" and "Thought." in turn.prompt:
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert not told[0].ok
        assert "bob has read m-" in told[0].text
        assert "A later answer comes as an ordinary message" in told[0].text


def ids(turn: Turn) -> list[str]:
    return [line.split()[1] for line in turn.prompt.splitlines() if line.startswith("Message m-")]


async def test_a_long_wait_is_pending_and_taken_up_again(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []
    pending = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            sent = await turn.call("send_message", recipient="bob", body="Slowly.", mode="sync")
            pending.set()
            asked = message_id(sent.text)
            told.extend([sent, await turn.call("await_reply", message_id=asked)])
            with pytest.raises(ActionRefused, match="you have sent no message"):
                await turn.call("await_reply", message_id="m-000000000000")
            await finish(turn)
        elif "Slowly." in turn.prompt:
            await pending.wait()
            await answer_all(turn)
            await finish(turn)

    async with Team(paths, temporal, script, block_seconds=1.0) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert told[0].text.startswith("pending: bob has not answered m-")
        assert "Four." in told[1].text


async def test_a_resent_call_of_a_resumed_program_sends_nothing_twice(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            call = {"recipient": "bob", "body": "2+2?", "mode": "sync"}
            told.append(await turn.call("send_message", **call))
            # Another engine: nothing of the first is in memory but what is on record.
            other = ToolCalls(team.roster, team.mail, temporal, team.index)
            told.append(await other.handle(f"{team.fleet}/alice", "send_message", call, "again"))
            noted = {"recipient": "bob", "body": "Noted.", "idempotency_key": "k"}
            told.append(await turn.call("send_message", **noted))
            told.append(await other.handle(f"{team.fleet}/alice", "send_message", {**noted, "body": "Other"}, "again"))
            await other.close()
            await finish(turn)
        elif "2+2?" in turn.prompt:
            await answer_all(turn)
        elif "Noted." in turn.prompt:
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed")
        assert "Four." in told[0].text
        assert told[1].text == told[0].text
        assert told[3].text == told[2].text
        assert [m.envelope.body for m in board.messages.values()] == ["2+2?", "Four.", "Noted."]


async def test_a_call_that_waits_ends_with_its_turn(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []
    waiting: list[asyncio.Task[ActionResult]] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            task = asyncio.ensure_future(turn.call("send_message", recipient="bob", body="Wait.", mode="sync"))
            waiting.append(task)
            told.append(await asyncio.shield(task))
        else:
            await asyncio.Event().wait()

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: any(m.state is MessageState.DELIVERED for m in board.messages.values()))
        run = team.facts(ev.RunStarted)[0].run
        assert [wait.awaited for wait in team.mail.postbox.waits(team.fleet, run)] == ["bob"]
        await team.control.stop_fleet(team.fleet)
        await team.until(lambda board: board.outcome == "stopped")
        result = await waiting[0]
        assert not result.ok
        assert result.text.startswith(("Your turn is over", "Expired"))
        assert team.mail.postbox.waits(team.fleet, run) == []


async def test_read_inbox_waits_for_what_comes(paths: Paths, temporal: Client) -> None:
    told: list[str] = []
    listening = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "bob":
            told.append((await turn.call("read_inbox", wait_seconds=1)).text)
            listening.set()
            told.append((await turn.call("read_inbox", wait_seconds=30)).text)
            told.append((await turn.call("read_inbox", wait_seconds=1)).text)
        else:
            await listening.wait()
            await turn.call("send_message", recipient="bob", body="Here I am.")
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert told[0] == "No new messages."
        assert told[1].endswith("Here I am.")
        assert told[2].startswith("No new messages.\n\nRead in this turn already:\n\nMessage m-")


@pytest.mark.parametrize("decision", ["accept", "decline"])
async def test_a_confirmation_is_decided_before_anything_else(paths: Paths, temporal: Client, decision: str) -> None:
    told: list[ActionResult] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            told.append(await turn.call("send_message", recipient="bob", body="Merge it?", kind="confirm"))
            await finish(turn)
        elif "Merge it?" in turn.prompt:
            (asked,) = ids(turn)
            assert f"Call confirm(message_id='{asked}'" in turn.prompt
            with pytest.raises(ActionRefused, match=f"first accept or decline {asked}"):
                await turn.call("send_message", recipient="user", body="Something else")
            with pytest.raises(ActionRefused, match="to decline needs a reason"):
                await turn.call("confirm", message_id=asked, decision="decline")
            first = await turn.call("confirm", message_id=asked, decision=decision, reason="I looked at it")
            assert first.text.startswith(f"You {decision}")
            again = await turn.call("confirm", message_id=asked, decision="accept")
            assert again.text.startswith(f"You have decided on {asked} already")
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed")
        asked, reply = board.messages.values()
        assert f"Decision on {asked.envelope.id}: {decision}" in told[0].text
        assert reply.envelope.data == {"decision": decision}


async def test_the_user_confirms(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            told.append(await turn.call("send_message", recipient="user", body="May I merge?", kind="confirm"))
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        await team.control.answer(team.fleet, asked.id, Answer(option="Decline", text="Not on a Friday."))
        await team.until(lambda board: board.outcome == "completed")
        assert f"Decision on {asked.message_id}: decline" in told[0].text
        assert told[0].text.endswith("Declined: Not on a Friday.")


async def test_who_does_not_decide_is_reminded_and_declines(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            told.append(await turn.call("send_message", recipient="bob", body="Merge it?", kind="confirm"))
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: bool(told))
        assert "was reminded 3 times" in told[0].text
        reminded = [turn.prompt for turn in team.turns if "You have not decided yet on m-" in turn.prompt]
        assert len(reminded) == 3


async def test_that_the_user_has_read_is_noticed_though_another_process_records_it(
    paths: Paths, temporal: Client
) -> None:
    """The command line and the window write with journals of their own, which tell nobody here."""
    told: list[ActionResult] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice" and turn.number == 1:
            note = {"recipient": "user", "body": "The disk is full.", "mode": "sync", "wait_for": "ack"}
            told.append(await turn.call("send_message", **note))

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: any(view.state == "delivered" for view in board.messages.values()))
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        await asyncio.to_thread(shown_to_user, paths, list(board.messages))
        await team.until(lambda board: bool(told), seconds=10)
        assert told[0].text.startswith("The user has read m-")
