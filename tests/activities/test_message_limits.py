"""What keeps a message back: full inboxes, rates, circles of waits, forbidden text, and the user's approval."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client

from app.config import Paths, load_project
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.errors import ActionRefused
from app.domain.interrupt import Answer
from app.domain.ports import ActionResult
from app.workflows.post import ALWAYS
from app.workflows.state import MAX_INBOX
from tests.activities.test_messages import answer_all, finish, team_of
from tests.team import Team, Turn


async def test_a_refused_sync_message_says_so_at_once(paths: Paths, temporal: Client) -> None:
    told: list[str] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            told.append((await turn.call("send_message", recipient="carol", body="Hi", mode="sync")).text)
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert told == ["Refused: there is no agent 'carol'; the team: bob, user."]
        assert team.mail.postbox.waits(team.fleet, team.facts(ev.RunStarted)[0].run) == []


async def test_a_full_inbox_takes_exactly_as_many_as_fit(paths: Paths, temporal: Client) -> None:
    told: list[ActionResult] = []
    over = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent in ("alice", "carol"):
            calls = [turn.call("send_message", recipient="bob", body=f"{n} of {turn.agent}") for n in range(55)]
            told.extend(await asyncio.gather(*calls))
            if len(told) == 110:
                over.set()
        await over.wait()
        if turn.agent != "bob" or turn.number > 1:
            await finish(turn)

    async with Team(paths, temporal, script, text=team_of("alice", "bob", "carol")) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed", 60)
        refused = [result.text for result in told if not result.ok]
        assert len(refused) == 110 - MAX_INBOX
        assert all(text.startswith("Refused: inbox_full: bob has 100 unread messages") for text in refused)
        states = [message.state for message in board.messages.values()]
        assert states.count(MessageState.READ) == MAX_INBOX


async def test_an_agent_sends_no_more_than_its_rules_allow(paths: Paths, temporal: Client) -> None:
    told: list[str] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            for number in range(4):
                told.append((await turn.call("send_message", recipient="user", body=f"No. {number}")).text)
            with pytest.raises(ActionRefused, match="the body has 200 bytes, 100 are allowed"):
                await turn.call("send_message", recipient="bob", body="x" * 200)
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        rules = team.project.rules_file(team.project.fleet.agent("alice"))
        rules.parent.mkdir(parents=True, exist_ok=True)
        rules.write_text("---\nmessages: {max_per_hour: 3, max_bytes: 100}\n---\nBe brief.\n")
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert [text.split(" ")[0] for text in told] == ["Accepted", "Accepted", "Accepted", "Refused:"]
        assert "rate_limit: your rules allow 3 messages an hour" in told[3]
        (refusal,) = team.facts(ev.ToolRefused)
        assert (refusal.tool, refusal.agent) == ("send_message", "alice")


@pytest.mark.parametrize("names", [("alice", "bob"), ("a", "b", "c", "d", "e")])
@pytest.mark.parametrize("at_once", [True, False])
async def test_exactly_one_of_a_circle_is_refused(
    paths: Paths, temporal: Client, names: tuple[str, ...], at_once: bool
) -> None:
    told: dict[str, ActionResult] = {}
    ready: set[str] = set()
    everybody = asyncio.Event()

    async def ask(turn: Turn) -> None:
        other = names[(names.index(turn.agent) + 1) % len(names)]
        told[turn.agent] = await turn.call("send_message", recipient=other, body="And you?", mode="sync")

    async def script(turn: Turn) -> None:
        if turn.number == 1:
            ready.add(turn.agent)
            if len(ready) == len(names):
                everybody.set()
            await everybody.wait()
            await asyncio.sleep(0 if at_once else 0.4 * names.index(turn.agent))
            await ask(turn)
        await answer_all(turn, f"I am {turn.agent}.")

    async with Team(paths, temporal, script, text=team_of(*names)) as team:
        await team.start()
        await team.until(lambda board: len(told) == len(names), 60)
        refused = [(name, result.text) for name, result in told.items() if not result.ok]
        assert len(refused) == 1
        first, text = refused[0]
        assert text.startswith("Refused: would_deadlock: ")
        chain = text.removeprefix("Refused: would_deadlock: ").split(";")[0].split(" waits for ")
        assert chain[0] == chain[-1] == first
        assert sorted(chain[1:]) == sorted(names)
        assert all("I am " in result.text for name, result in told.items() if name != first)


@pytest.mark.parametrize(
    "arguments",
    [
        {"recipient": "bob\x1b[2J", "body": "Hi"},
        {"recipient": "b" * 101, "body": "Hi"},
        {"recipient": "bob", "body": "Hi \u202e"},
        {"recipient": "bob", "body": "Hi \udcff"},
        {"recipient": "bob", "body": "Hi", "subject": "a\nb"},
        {"recipient": "bob", "body": "Hi", "idempotency_key": "k" * 201},
        {"recipient": "bob", "body": "Hi", "sender": "user"},
        {"recipient": "bob", "body": "Hi", "attachments": ["-rf"]},
        {"recipient": "bob", "body": {"deep": [[]]}},
    ],
)
async def test_what_may_not_cross_is_refused_and_on_record(
    paths: Paths, temporal: Client, arguments: dict[str, object]
) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            with pytest.raises(ActionRefused):
                await turn.call("send_message", **arguments)
        await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed")
        assert board.messages == {}
        (refusal,) = team.facts(ev.ToolRefused)
        assert (refusal.agent, refusal.tool) == ("alice", "send_message")
        assert "\x1b" not in refusal.reason


async def test_an_approval_for_always_is_kept_for_the_next_run(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "bob" and turn.number == 1:
            assert (await turn.call("send_message", recipient="alice", body="May I?")).text.startswith("Held as m-")
        if turn.agent == "bob" or "May I?" in turn.prompt:
            await finish(turn)

    async with Team(paths, temporal, script) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        await team.control.answer(team.fleet, board.open_interrupts[0].id, Answer(option=ALWAYS))
        await team.until(lambda board: board.outcome == "completed")
        root: Path = team.project.root
        assert "  bob: [alice]\n" in (root / "approvals.yaml").read_text()
        assert load_project(root).fleet.agent("bob").direct_communication == ("alice",)
