"""Agents whose history begins anew, or whose workflow is started from what the journal knew of it."""

from __future__ import annotations

import pytest
from temporalio.client import Client

from app.activities.member import machine_name
from app.config import Paths
from app.domain.envelope import MessageState, reference
from app.domain.interrupt import InterruptKind
from app.testing import FakeSandbox, succeeded
from app.workflows import steps
from app.workflows.agent import AgentWorkflow
from app.workflows.state import AgentEnd, AgentStart, AgentState
from tests.team import Team
from tests.workflows.test_conversations import Agents, Wire, begun, envelope, moves


async def test_nothing_is_lost_or_doubled_when_histories_begin_anew(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    agents.free()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        alice = temporal.get_workflow_handle(steps.agent_workflow_id(team.fleet, "alice"))
        first, sent = (await alice.describe()).run_id, 0
        while (await alice.describe()).run_id == first:
            assert sent < 400, "the history was not begun anew, or late: see _TUNING of the Temporal server"
            for _ in range(40):
                sent += 1
                assert (await wire.send("alice", "bob", f"{sent:04}")).ok
        board = await team.until(lambda board: all(m.state is MessageState.READ for m in board.messages.values()))
        assert len(board.messages) == sent
        lines = [line for turn in team.turns for line in turn.prompt.splitlines() if line.startswith("Message m-")]
        assert [line.split()[1] for line in lines] == [f"m-{number:04}" for number in range(1, sent + 1)]
        assert (await wire.state("alice")).outbox == []


@pytest.mark.parametrize("lost", [False, True])
async def test_a_seeded_agent_goes_on_where_it_was(paths: Paths, temporal: Client, lost: bool) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play, replay=False) as team:
        wire = Wire(team, "run-of-a-lost-server")
        if not lost:
            name = machine_name(team.fleet, "bob")
            team.host.machines[name] = FakeSandbox(name, lambda command: succeeded())
        start = AgentStart(
            fleet=team.fleet,
            run=wire.run,
            project_file=str(team.project.file),
            plan=steps.AgentPlan(id="bob", recipients=("alice",)),
            team=frozenset({"alice", "bob"}),
            state=seeded(team, wire.run),
        )
        handle = await temporal.start_workflow(
            AgentWorkflow.run, start, id=steps.agent_workflow_id(team.fleet, "bob"), task_queue=steps.TASK_QUEUE
        )
        await agents.begun.wait()
        seen = await wire.state("bob")
        assert seen.resuming is None
        # The conversation went with the machine: all that was in the turn is told again, in the first of a new one.
        assert (seen.turn, [item.id for item in seen.inbox]) == ((5, []) if lost else (4, ["m-unread"]))
        assert ("Text of unread." in team.turns[0].prompt) == lost
        assert "Text of read." in team.turns[0].prompt
        assert list(seen.open) == ["i-1"]
        await handle.signal(AgentWorkflow.stop, "enough")
        end = await handle.result()
        assert isinstance(end, AgentEnd)
        assert (end.state.outbox, end.state.waits) == ([], {})
        assert moves(team, "out") == ["refused"], "nobody is there to take it; that is on record"


def seeded(team: Team, run: str) -> AgentState:
    texts = [envelope("read", "alice", "bob"), envelope("unread", "alice", "bob"), envelope("out", "bob", "alice")]
    for text in texts:
        team.journal.put_body(text.id, text)
    read, unread, out = (reference(text) for text in texts)
    order = steps.AgentOrder(fleet=team.fleet, run=run, agent="bob", project_file="elsewhere")
    question = steps.InterruptRef(id="i-1", kind=InterruptKind.USER_INPUT, title="Which colour?")
    return AgentState(
        turn=4,
        facts=100,
        received={read.id: read, unread.id: unread},
        inbox=[unread],
        open={question.id: question},
        waits={out.id: out},
        outbox=[out],
        resuming=steps.TurnOrder(order=order, turn=4, cause="messages", messages=(read.id,)),
    )
