"""What the watch tells workflows, when they are slow to put it on record."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio.client import Client

from app.activities.member import Member, Roster, member_key
from app.activities.warden import Warden
from app.activities.watch import Watch
from app.config import Paths, load_project
from app.config.rules_book import RulesBook
from app.domain import events as ev
from app.domain.envelope import Envelope
from app.domain.ports import TurnObserver, TurnOutcome, TurnRequest
from app.domain.prices import PriceTable
from app.store.database import open_database
from app.store.journal import Journal
from app.store.memory import MemoryFile
from app.store.memory_revisions import Ledger
from app.testing import EventBuilder, ScriptedRuntime
from app.workflows.references import AgentOrder
from app.workflows.steps import agent_workflow_id
from tests.conftest import WriteProject

PAIR = """
project: {name: pair}
defaults: {type: codex, limits: {ping_pong: 6}}
agents:
  - {id: alice, direct_communication: [bob]}
  - {id: bob, direct_communication: [alice]}
"""


async def play(agent: str, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
    raise AssertionError("nobody takes a turn")


def message(build: EventBuilder, number: int) -> ev.MessageAccepted:
    sender, recipient = ("alice", "bob") if number % 2 else ("bob", "alice")
    base = build.base(sender)
    envelope = Envelope(
        id=f"m-{number:012x}", sender=sender, recipient=recipient, body="Thank you!", sent_at=datetime.now(UTC)
    )
    return ev.MessageAccepted.model_validate(base | {"envelope": envelope})


async def test_the_second_of_a_pair_is_not_asked_while_the_first_is_not_on_record(
    paths: Paths, temporal: Client, write_project: WriteProject
) -> None:
    project, build = load_project(write_project(PAIR)), EventBuilder()
    journal, roster = Journal(paths.journal_db), Roster()
    database = open_database(paths.journal_db)
    for name in ("alice", "bob"):
        order = AgentOrder(fleet=build.fleet, run=build.run, agent=name, project_file=str(project.file))
        spec = project.fleet.agent(name)
        lock = paths.state / f"{name}.lock"
        memory = MemoryFile(paths.state / name, Ledger(database), fleet=build.fleet, agent=name, lock=lock)
        runtime = ScriptedRuntime(play)
        roster[member_key(build.fleet, name)] = Member(order, project, spec, runtime, memory, RulesBook(project, spec))
        # Nobody works for this queue: what the workflows are told stays in their histories, and comes on no record.
        await temporal.start_workflow("Nobody", id=agent_workflow_id(build.fleet, name), task_queue="nobody")
    watch = Watch(roster, Warden(roster, journal, PriceTable()), temporal)
    for number in range(1, 9):
        journal.append(message(build, number))
        await watch.look(datetime.now(UTC))
    told = [await concerns(temporal, build.fleet, name) for name in ("alice", "bob")]
    journal.close()
    database.close()
    assert told == [0, 1], "the sixth message was bob's; alice wrote the seventh"


async def concerns(client: Client, fleet: str, agent: str) -> int:
    """How often the agent's workflow was told that something is wrong."""
    history = await client.get_workflow_handle(agent_workflow_id(fleet, agent)).fetch_history()
    signals = [event.workflow_execution_signaled_event_attributes.signal_name for event in history.events]
    return signals.count("concern")
