"""What a workflow is told on the side: together, before anything that depends on it, and not needed for the truth."""

from __future__ import annotations

import asyncio

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from app.activities.mail_room import FROM_INBOX
from app.activities.member import member_key
from app.config import Paths
from app.domain import events as ev
from app.domain import prompts
from app.domain.envelope import MessageState
from app.workflows import steps
from tests.activities.test_messages import finish, team_of
from tests.team import Team, Turn


async def updates(team: Team, agent: str, name: str) -> int:
    handle = team.client.get_workflow_handle(steps.agent_workflow_id(team.fleet, agent))
    accepted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    return sum(
        [
            1
            async for event in handle.fetch_history_events()
            if event.event_type == accepted
            and event.workflow_execution_update_accepted_event_attributes.accepted_request.input.name == name
        ]
    )


async def test_ends_of_waits_are_told_together_and_before_the_agent_finishes(paths: Paths, temporal: Client) -> None:
    told: list[str] = []
    listening = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await listening.wait()
            for number in range(3):
                await turn.call("send_message", recipient="bob", body=f"Text {number}.", mode="sync", wait_for="ack")
        else:
            listening.set()
            while sum("Text" in text for text in told) < 3:
                told.append((await turn.call("read_inbox", wait_seconds=30)).text)
            told.append((await turn.call("finish", summary="done")).text)
            return
        await finish(turn)

    async with Team(paths, temporal, script, text=team_of("alice", "bob")) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert told[-1] == "Well done. End your turn now.", "its workflow knew that nothing is new any more"
        assert 1 <= await updates(team, "bob", "end_wait") <= 3
        assert [turn.number for turn in team.turns] == [1, 1]


async def test_what_a_killed_engine_did_not_tell_is_not_put_before_the_agent_again(
    paths: Paths, temporal: Client
) -> None:
    told: list[str] = []
    listening = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await listening.wait()
            await turn.call("send_message", recipient="bob", body="Only once.")
        elif turn.number == 1:
            listening.set()
            told.append((await turn.call("read_inbox", wait_seconds=30)).text)
            for task in list(team.roster[member_key(team.fleet, "bob")].telling):
                task.cancel()  # all that is left of a killed engine's news is what the journal says
            return
        await finish(turn)

    async with Team(paths, temporal, script, text=team_of("alice", "bob")) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        (moved,) = [fact for fact in team.facts(ev.MessageMoved) if fact.state is MessageState.READ]
        assert moved.reason == FROM_INBOX
        assert told[0].endswith("Only once.")
        again = [turn.prompt for turn in team.turns if turn.agent == "bob" and turn.number > 1]
        assert again == [prompts.ALL_READ]


async def test_what_was_answered_is_not_put_before_the_agent_again(paths: Paths, temporal: Client) -> None:
    listening = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice" and turn.number == 1:
            await listening.wait()
            await turn.call("send_message", recipient="bob", body="Only once.")
        elif turn.agent == "bob" and turn.number == 1:
            listening.set()
            text = (await turn.call("read_inbox", wait_seconds=30)).text
            _forget_news(team, "bob")
            await turn.call("reply", message_id=text.split()[1], body="Seen.")
            return
        await finish(turn)

    async with Team(paths, temporal, script, text=team_of("alice", "bob")) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert [turn.prompt for turn in team.turns if turn.agent == "bob" and turn.number > 1] == [prompts.ALL_READ]


async def test_a_turn_that_is_taken_up_reads_again_what_may_never_have_come_before_its_agent(
    paths: Paths, temporal: Client
) -> None:
    """The engine died between the record and the answer of the call; other messages came in meanwhile."""
    told: list[str] = []
    listening, both_sent = asyncio.Event(), asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await listening.wait()
            await turn.call("send_message", recipient="bob", body="First.")
            await team.until(lambda board: any(item.state is MessageState.READ for item in board.messages.values()))
            await turn.call("send_message", recipient="bob", body="Second.", idempotency_key="second")
            both_sent.set()
        elif not told:
            listening.set()
            told.append((await turn.call("read_inbox", wait_seconds=30)).text)
            _forget_news(team, "bob")
            await both_sent.wait()
            raise RuntimeError("the engine is killed")
        elif turn.number == 1:
            told.extend([(await turn.call("read_inbox")).text, (await turn.call("read_inbox")).text])
        await finish(turn)

    async with Team(paths, temporal, script, text=team_of("alice", "bob")) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        assert told[0].endswith("First.") and "Second." not in told[0]
        assert "First." in told[1] and "Second." in told[1]
        assert [turn.number for turn in team.turns if turn.agent == "bob"] == [1, 1]


async def test_what_may_never_have_come_before_an_agent_comes_in_its_next_prompt(
    paths: Paths, temporal: Client
) -> None:
    """The turn was cut after the record, and its agent does not look into its inbox any more."""
    listening = asyncio.Event()

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await listening.wait()
            await turn.call("send_message", recipient="bob", body="Only once.")
        elif not listening.is_set():
            listening.set()
            await turn.call("read_inbox", wait_seconds=30)
            _forget_news(team, "bob")
            raise RuntimeError("the engine is killed")
        elif turn.number == 1:
            return
        await finish(turn)

    async with Team(paths, temporal, script, text=team_of("alice", "bob")) as team:
        await team.start()
        await team.until(lambda board: board.outcome == "completed")
        (again,) = [turn.prompt for turn in team.turns if turn.agent == "bob" and turn.number > 1]
        assert again.endswith("Only once.")


def _forget_news(team: Team, agent: str) -> None:
    """All that is left of a killed engine's news is what the journal says."""
    for task in list(team.roster[member_key(team.fleet, agent)].telling):
        task.cancel()
