"""Messages that their recipient has from the record already come to its workflow together, and none is forgotten."""

from __future__ import annotations

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.envelope import reference
from app.domain.events import AgentStatus
from app.workflows import steps
from tests.team import Team
from tests.workflows.test_conversations import Agents, Wire, begun, envelope


async def pass_on(wire: Wire, name: str, *, attended: bool) -> None:
    """What a tool call of alice does to send to bob."""
    message = envelope(name, "alice", "bob")
    wire.team.journal.put_body(message.id, message)
    order = steps.SendOrder(action_id=message.id, message=reference(message, attended=attended))
    assert (await wire.ask("alice", "send", order)).ok
    named = {"id": f"{message.id}/taken", "fleet": wire.team.fleet, "run": wire.run, "agent": "alice"}
    wire.team.journal.append(ev.MessageAccepted(**named, at=message.sent_at, envelope=message))


async def signals(wire: Wire, agent: str) -> int:
    handle = wire.team.client.get_workflow_handle(steps.agent_workflow_id(wire.team.fleet, agent))
    kind = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return sum([1 async for event in handle.fetch_history_events() if event.event_type == kind])


async def test_what_is_attended_comes_with_one_signal_and_in_order(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        names = [f"{number:02}" for number in range(5)]
        for name in names:
            await pass_on(wire, name, attended=True)
        await team.until(lambda board: board.agents["bob"].unread == len(names))
        assert [message.subject for message in (await wire.state("bob")).inbox] == names
        assert await signals(wire, "bob") < len(names)
        agents.free()


async def test_what_is_not_attended_takes_the_others_along(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await pass_on(wire, "first", attended=True)
        await pass_on(wire, "second", attended=False)
        await team.until(lambda board: board.agents["bob"].unread == 2)
        assert [message.subject for message in (await wire.state("bob")).inbox] == ["first", "second"]
        agents.free()


async def test_the_end_of_the_sender_waits_for_nothing_and_forgets_nothing(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await pass_on(wire, "last", attended=True)
        await team.control.stop_agent(team.fleet, "alice")
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.STOPPED)
        assert board.agents["bob"].unread == 1
        assert [message.subject for message in (await wire.state("bob")).inbox] == ["last"]
        agents.free()
