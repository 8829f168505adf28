"""Temporal is disposable: a run that it has lost goes on from the journal, nothing lost and nothing twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHistory

from app.config import Paths
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.engine.reseed import rebuild, reseed, revive, unreplayable, until_at_work
from app.store.postbox import Postbox, Wait
from app.workflows.post import DELIVER_ONCE
from app.workflows.steps import fleet_workflow_id
from tests.engine.test_engine import Scripted
from tests.team import PROJECT, Script, Team, Turn

BEFORE = Path(__file__).with_name("history_before_conversations.json")


@pytest.fixture
async def scripted(paths: Paths, tmp_path: Path) -> AsyncIterator[Scripted]:
    scripted = Scripted(paths, tmp_path)
    yield scripted
    if scripted.process is not None and scripted.process.poll() is None:
        scripted.kill()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_deleted_database_loses_nothing(scripted: Scripted) -> None:
    """In the middle of a turn, and again with a question open."""
    await scripted.start()
    async with scripted.control() as control:
        run = await control.run_fleet(scripted.project)
    await scripted.wait(lambda: scripted.diary.exists() and "count 1" in scripted.diary.read_text())
    await _lose(scripted)
    await scripted.wait(lambda: bool(scripted.board().open_interrupts))
    await scripted.wait(lambda: scripted.board().agents["bob"].state is AgentStatus.COMPLETED)
    await _lose(scripted)
    async with scripted.control() as control:
        assert await control.run_fleet(scripted.project) == run
        (question,) = scripted.board().open_interrupts
        await control.answer(scripted.project.fleet_id, question.id, Answer(option="yes"))
    await scripted.wait(lambda: scripted.board().outcome != "")
    board = scripted.board()
    assert board.outcome == "completed"
    assert scripted.diary.read_text().split("\n") == ["count 0", "count 1", "count 2", ""]
    assert [message.state for message in board.messages.values()] == [MessageState.READ]
    facts = scripted.facts()
    assert [fact.seed for fact in facts if isinstance(fact, ev.RunReseeded)] == [1, 2]
    assert [fact.turn for fact in facts if isinstance(fact, ev.TurnResumed)] == [1]
    turns = Counter((fact.agent, fact.turn) for fact in facts if isinstance(fact, ev.TurnStarted))
    assert turns == {("alice", 1): 1, ("alice", 2): 1, ("bob", 1): 1, ("bob", 2): 1}


async def _lose(scripted: Scripted) -> None:
    scripted.kill()
    for file in scripted.paths.state.glob("temporal*.db*"):
        file.unlink()
    await scripted.start()


@asynccontextmanager
async def going_on(team: Team, client: Client) -> AsyncIterator[Team]:
    """The same run on a Temporal that has never heard of it; the first one's worker has ended."""
    await team.stack.aclose()
    other = Team(team.paths, client, team.script, host=team.host, text=team.text, turns=team.turns, replay=False)
    async with other:
        postbox = Postbox(team.paths.journal_db)
        other.stack.callback(postbox.close)
        await until_at_work(client, await reseed(other.journal, postbox, client))
        yield other


async def begun(paths: Paths, temporal: Client, script: Script, text: str = PROJECT) -> Team:
    team = Team(paths, temporal, script, text=text, replay=False)
    await team.__aenter__()
    await team.start()
    return team


async def test_held_messages_questions_and_unread_inboxes_come_back(
    paths: Paths, temporal: Client, other_temporal: Client
) -> None:
    gate, heard = asyncio.Event(), []

    async def script(turn: Turn) -> None:
        heard.append((turn.agent, turn.number))
        if turn.agent == "alice" and turn.number == 1:
            await turn.call("ask_user", question="Which?", options=["a", "b"])
        if turn.agent == "bob" and turn.number == 1:
            await turn.call("send_message", recipient="alice", body="Held until you say so.")
        if turn.agent == "bob" and "Are you there?" in turn.prompt:
            await gate.wait()
        if turn.agent == "alice" and "Held until" in turn.prompt:
            await turn.call("finish", summary="has it")

    team = await begun(paths, temporal, script)
    await team.until(lambda board: len(board.open_interrupts) == 2)
    await team.control.send(team.fleet, "alice", "For later.")  # unread: she waits for the answer
    await team.control.send(team.fleet, "bob", "Are you there?")
    await team.until(lambda board: ("bob", 2) in heard)
    async with going_on(team, other_temporal) as after:
        gate.set()
        board = await after.until(lambda board: ("bob", 2) in heard[3:])
        kinds = {item.message_id is None: item for item in board.open_interrupts}
        await after.control.answer(after.fleet, kinds[True].id, Answer(option="a"))
        await after.control.answer(after.fleet, kinds[False].id, Answer(option=DELIVER_ONCE))
        board = await after.until(lambda board: board.agents["alice"].state is AgentStatus.COMPLETED)
        assert {view.state for view in board.messages.values()} == {MessageState.READ}
        prompts = " ".join(turn.prompt for turn in after.turns if turn.agent == "alice")
        assert [prompts.count(text) for text in ("For later.", "Held until you say so.")] == [1, 1]
        resumed = [(item.agent, item.turn) for item in after.facts(ev.TurnResumed)]
        assert resumed == [("bob", 2)]
        ids = [event.id for _, event in after.journal.read(limit=10_000)]
        assert len(ids) == len(set(ids))


async def test_a_sender_that_waits_waits_still(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            sent = await turn.call("send_message", recipient="bob", body="Answer me.")
            message = sent.text.split()[2].rstrip(".")
            until = datetime.now(UTC) + timedelta(minutes=1)
            wait = Wait(
                message, team.fleet, (await team.control.running_run(team.fleet)) or "", "alice", "bob", "reply", until
            )
            postbox.begin_wait(wait, datetime.now(UTC))
            await asyncio.Event().wait()
        if turn.agent == "bob" and "Answer me." in turn.prompt:
            await asyncio.Event().wait()

    postbox = Postbox(paths.journal_db)
    async with Team(paths, temporal, script, replay=False) as team:
        run_id = await team.start()
        await team.until(lambda board: any("Answer me." in turn.prompt for turn in team.turns))
        await team.until(lambda board: bool(postbox.waits(team.fleet, run_id)))
        (started,) = team.journal.newest_runs()
        run = rebuild(team.journal, postbox, started)
        assert run is not None and run.seed is not None
        alice, bob = run.seed.minds["alice"], run.seed.minds["bob"]
        assert alice.resuming is not None and alice.resuming.turn == 1
        (awaited,) = alice.waits.values()
        assert (awaited.awaits, awaited.recipient) == ("reply", "bob")
        assert bob.resuming is not None and bob.resuming.messages == (awaited.id,)
        assert awaited.id in alice.outcomes and awaited.id in bob.received
    postbox.close()


async def test_a_paused_agent_stays_paused_and_an_ended_one_ended(
    paths: Paths, temporal: Client, other_temporal: Client
) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "bob":
            await turn.call("finish", summary="done")

    team = await begun(paths, temporal, script)
    await team.until(lambda board: board.quiet)
    await team.control.pause_agent(team.fleet, "alice")
    async with going_on(team, other_temporal) as after:
        await after.control.send(after.fleet, "alice", "Still there?")
        assert (await after.until(lambda board: True)).agents["alice"].state is AgentStatus.PAUSED
        await after.control.start_agent(after.fleet, "bob")
        await after.until(lambda board: [turn.number for turn in after.turns if turn.agent == "bob"] == [1, 2])
        assert [turn.number for turn in after.turns if turn.agent == "alice"] == [1]
        await after.control.resume_agent(after.fleet, "alice")
        await after.until(lambda board: [turn.number for turn in after.turns if turn.agent == "alice"] == [1, 2])


async def test_one_agent_goes_on_after_its_run_has_ended(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if "More." not in turn.prompt and turn.number < 3:
            await turn.call("finish", summary="done")

    async with Team(paths, temporal, script, replay=False) as team:
        await team.start()
        await team.until(lambda board: board.outcome != "")
        # Its last fact comes a moment before its end.
        while await team.control.running_run(team.fleet) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        postbox = Postbox(paths.journal_db)
        team.stack.callback(postbox.close)
        await revive(temporal, team.journal, postbox, team.fleet, "bob")
        await team.until(lambda board: [turn.number for turn in team.turns if turn.agent == "bob"] == [1, 2])
        await team.until(lambda board: len(team.facts(ev.RunEnded)) == 2)
        assert [turn.number for turn in team.turns if turn.agent == "alice"] == [1]


async def test_a_run_that_goes_on_is_left_alone_and_a_stale_one_is_not(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        """Every turn ends at once."""

    async with Team(paths, temporal, script, replay=False) as team:
        run = await team.start()
        await team.until(lambda board: board.quiet)
        postbox = Postbox(paths.journal_db)
        team.stack.callback(postbox.close)
        await reseed(team.journal, postbox, temporal)
        assert team.facts(ev.RunReseeded) == []
        later = ev.RunReseeded(id="later", at=datetime.now(UTC), fleet=team.fleet, run=run, seed=4, why="another file")
        team.journal.append(later)
        await reseed(team.journal, postbox, temporal)
        assert [(fact.seed, fact.why) for fact in team.facts(ev.RunReseeded)][1:] == [
            (5, "Temporal had an earlier state of it")
        ]
        handle = team.client.get_workflow_handle(fleet_workflow_id(team.fleet))
        assert (await (await handle.describe()).memo())["seed"] == 5


async def test_a_run_nothing_is_kept_of_ends_and_says_so(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        """Nobody has a turn."""

    async with Team(paths, temporal, script, replay=False) as team:
        named = {"at": datetime.now(UTC), "fleet": team.fleet, "run": "old"}
        agents = (ev.AgentDeclared(id="alice", type="codex"),)
        began = ev.RunStarted(id="old/started", **named, project="demo", root="/gone", agents=agents)
        team.journal.append(began)
        postbox = Postbox(paths.journal_db)
        team.stack.callback(postbox.close)
        await reseed(team.journal, postbox, temporal)
        board = await team.until(lambda board: board.outcome == "failed")
        assert "older Skerry" in board.agents["alice"].reason


async def test_a_history_that_does_not_replay_is_found() -> None:
    history = json.loads(BEFORE.read_text())
    assert await unreplayable([WorkflowHistory.from_json("fleet/demo", history)]) != ""
    assert await unreplayable([]) == ""
