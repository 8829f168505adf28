"""What the workflows do with messages: in order and once, awaited, in time, to be confirmed, over new channels."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from app.config import Paths
from app.domain import events as ev
from app.domain.envelope import Await, Envelope, MessageKind, MessageState, reference
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.workflows import steps
from app.workflows.agent import AgentWorkflow
from app.workflows.confirmations import ACCEPT, DECLINE, REMINDERS
from app.workflows.post import ALWAYS, DELIVER_ONCE
from app.workflows.state import AgentState
from tests.team import Team, Turn


def envelope(
    name: str, sender: str, recipient: str, *, kind: MessageKind = "message", reply_to: str | None = None
) -> Envelope:
    return Envelope(
        id=f"m-{name}",
        sender=sender,
        recipient=recipient,
        kind=kind,
        subject=name,
        body=f"Text of {name}.",
        reply_to=reply_to,
        sent_at=datetime.now(UTC),
    )


class Wire:
    """Sends for an agent what its tools would, in the steps a tool call takes."""

    def __init__(self, team: Team, run: str) -> None:
        self.team = team
        self.run = run

    async def ask(self, agent: str, update: str, order: object) -> steps.ActionOutcome:
        handle = self.team.client.get_workflow_handle(steps.agent_workflow_id(self.team.fleet, agent))
        outcome: steps.ActionOutcome = await handle.execute_update(update, order, result_type=steps.ActionOutcome)
        return outcome

    async def read_inbox(self, agent: str) -> tuple[str, ...]:
        handle = self.team.client.get_workflow_handle(steps.agent_workflow_id(self.team.fleet, agent))
        return (await handle.execute_update(AgentWorkflow.read_inbox)).message_ids

    async def end_wait(self, agent: str, message_id: str, *taken: str) -> None:
        handle = self.team.client.get_workflow_handle(steps.agent_workflow_id(self.team.fleet, agent))
        await handle.execute_update(AgentWorkflow.end_wait, steps.WaitEnd(message_id=message_id, taken=taken))

    async def tell(self, agent: str, signal: str, *arguments: object) -> None:
        handle = self.team.client.get_workflow_handle(steps.agent_workflow_id(self.team.fleet, agent))
        await handle.signal(signal, args=arguments)

    async def state(self, agent: str) -> AgentState:
        name = steps.agent_workflow_id(self.team.fleet, agent)
        return await self.team.client.get_workflow_handle(name).query(AgentWorkflow.state)

    async def send(
        self,
        sender: str,
        recipient: str,
        name: str,
        *,
        kind: MessageKind = "message",
        awaits: Await | None = None,
        reply_to: str | None = None,
        obstacle: str = "",
    ) -> steps.ActionOutcome:
        message = envelope(name, sender, recipient, kind=kind, reply_to=reply_to)
        self.team.journal.put_body(message.id, message)
        order = steps.SendOrder(action_id=message.id, message=reference(message, awaits), obstacle=obstacle)
        outcome = await self.ask(sender, "send", order)
        if outcome.text.startswith("Accepted"):
            named = {"fleet": self.team.fleet, "run": self.run, "agent": sender}
            taken = f"{message.id}/taken"
            self.team.journal.append(ev.MessageAccepted(**named, id=taken, at=message.sent_at, envelope=message))
        return outcome


class Agents:
    """Each stays in its turn until it is let go; later turns end at once."""

    def __init__(self) -> None:
        self.go = {"alice": asyncio.Event(), "bob": asyncio.Event()}
        self.begun = asyncio.Event()

    async def play(self, turn: Turn) -> None:
        if not self.go[turn.agent].is_set():
            self.begun.set()
            await self.go[turn.agent].wait()
        if "End." in turn.prompt:
            await turn.call("finish", summary="done")

    def free(self, *agents: str) -> None:
        for agent in agents or self.go:
            self.go[agent].set()


async def begun(team: Team) -> Wire:
    wire = Wire(team, await team.start())
    await team.until(lambda board: all(view.turn == 1 for view in board.agents.values()))
    return wire


def moves(team: Team, name: str) -> list[str]:
    facts = team.facts(ev.MessageMoved)
    return [fact.state.value for fact in facts if fact.message_id == f"m-{name}"]


async def test_messages_come_in_the_order_in_which_they_were_sent_and_once(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        names = [f"{number:03}" for number in range(40)]
        for name in names:
            assert (await wire.send("alice", "bob", name)).text == f"Accepted as m-{name}."
        assert (await wire.send("alice", "bob", names[0])).text == f"Accepted as m-{names[0]}."
        await team.until(lambda board: board.agents["bob"].unread == len(names))
        assert [message.subject for message in (await wire.state("bob")).inbox] == names
        agents.free()
        board = await team.until(lambda board: board.agents["bob"].unread == 0)
        read = next(turn for turn in team.turns if turn.agent == "bob" and turn.number == 2)
        assert [line.split()[1] for line in read.prompt.splitlines() if line.startswith("Message m-")] == [
            f"m-{name}" for name in names
        ]
        assert all(
            [state.value for state, _, _ in view.history] == ["accepted", "delivered", "read"]
            for view in board.messages.values()
        )


async def test_what_a_turn_waits_for_is_shown_and_the_answer_is_not_told_twice(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await wire.send("alice", "bob", "question", awaits="reply")
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        assert board.agents["alice"].reason == "bob's reply to: question"
        await wire.send("bob", "alice", "answer", kind="reply", reply_to="m-question")
        await wire.end_wait("alice", "m-question", "m-answer")
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.RUNNING)
        assert board.agents["alice"].reason == "begins its task"
        await team.until(lambda board: board.messages["m-question"].state is MessageState.ANSWERED)
        assert (await wire.state("alice")).inbox == []
        await wire.send("alice", "bob", "note", awaits="ack")
        await team.until(lambda board: board.agents["alice"].reason == "bob to read: note")
        agents.free("alice")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert (await wire.state("alice")).waits == {}
        assert [turn.number for turn in team.turns if turn.agent == "alice"] == [1]


async def test_an_answer_given_before_it_comes_in_is_not_new(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await wire.send("alice", "bob", "question", awaits="reply")
        await team.until(lambda board: board.agents["bob"].unread == 1)
        await wire.end_wait("alice", "m-question", "m-answer")
        await wire.send("bob", "alice", "answer", kind="reply", reply_to="m-question")
        await team.until(lambda board: "m-answer" in board.messages and "delivered" in moves(team, "answer"))
        assert (await wire.state("alice")).inbox == []
        thanks = await wire.send("alice", "bob", "thanks", kind="reply", reply_to="m-answer")
        assert thanks.ok
        agents.free()


async def test_when_a_waiting_sender_is_stopped_its_unread_message_expires(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await wire.send("alice", "bob", "plain")
        await wire.send("alice", "bob", "question", awaits="reply")
        await team.control.stop_agent(team.fleet, "alice")
        board = await team.until(lambda board: board.messages["m-question"].state is MessageState.EXPIRED)
        assert board.messages["m-question"].reason.startswith("its sender has ended: ")
        assert board.messages["m-plain"].state is MessageState.DELIVERED
        agents.free()
        await team.until(lambda board: board.messages["m-plain"].state is MessageState.READ)
        assert not any("Text of question." in turn.prompt for turn in team.turns)


async def test_a_turn_that_was_cut_before_it_was_heard_loses_no_message(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        agents.free("bob")
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.IDLE)
        agents.go["bob"].clear()
        await wire.send("alice", "bob", "early")
        await team.until(lambda board: board.agents["bob"].turn == 2)
        await team.control.stop_agent(team.fleet, "bob")
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.STOPPED)
        agents.free()
        await team.control.start_agent(team.fleet, "bob")
        await team.until(lambda board: board.messages["m-early"].state is MessageState.READ)
        third = next(turn for turn in team.turns if turn.agent == "bob" and turn.number == 3)
        assert "Text of early." in third.prompt


async def test_only_what_nobody_has_read_expires(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await wire.send("alice", "bob", "early")
        await team.until(lambda board: board.agents["bob"].unread == 1)
        assert await wire.read_inbox("bob") == ("m-early",)
        await wire.send("alice", "bob", "late")
        held = await wire.send("bob", "alice", "held")
        assert held.text.startswith("Held as m-held")
        await team.until(lambda board: board.messages["m-late"].state is MessageState.DELIVERED)
        await wire.tell("bob", "expire", ["m-early", "m-late", "m-held"])
        board = await team.until(lambda board: board.messages["m-held"].state is MessageState.EXPIRED)
        assert board.open_interrupts == []
        assert board.messages["m-late"].state is MessageState.EXPIRED
        assert board.messages["m-late"].reason == "was not read in time"
        assert board.messages["m-early"].state is MessageState.DELIVERED
        agents.free()


async def test_an_obstacle_refuses_and_says_why(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        outcome = await wire.send("alice", "bob", "late", obstacle="bob has 100 unread messages")
        assert (outcome.ok, outcome.text) == (False, "Refused: bob has 100 unread messages.")
        board = await team.until(lambda board: "m-late" in board.messages)
        assert board.messages["m-late"].reason == "bob has 100 unread messages"
        agents.free()


async def test_a_confirmation_comes_before_other_actions_and_is_reminded_of(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await wire.send("alice", "bob", "plan", kind="confirm")
        await team.until(lambda board: board.agents["bob"].unread == 1)
        await wire.read_inbox("bob")
        with pytest.raises(WorkflowUpdateFailedError) as refusal:
            await wire.ask("bob", "finish", steps.FinishOrder(action_id="f", summary="done"))
        assert "first accept or decline m-plan" in str(refusal.value.cause)
        with pytest.raises(WorkflowUpdateFailedError):
            await wire.send("bob", "alice", "other")
        agents.free()
        board = await team.until(lambda board: any(m.envelope.reply_to == "m-plan" for m in board.messages.values()))
        reply = next(m.envelope for m in board.messages.values() if m.envelope.reply_to == "m-plan")
        assert (reply.sender, reply.recipient, reply.data) == ("bob", "alice", {"decision": "decline"})
        assert "reminded 3 times" in reply.body
        await team.until(lambda board: board.messages[reply.id].state is MessageState.READ)
        assert [turn.number for turn in team.turns if turn.agent == "bob"] == list(range(1, 2 + REMINDERS))
        assert "answered" in moves(team, "plan")


async def test_a_reply_settles_a_confirmation(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await wire.send("alice", "bob", "plan", kind="confirm")
        await team.until(lambda board: board.agents["bob"].unread == 1)
        await wire.read_inbox("bob")
        assert (await wire.send("bob", "alice", "yes", kind="reply", reply_to="m-plan")).ok
        assert (await wire.state("bob")).confirms == []
        assert (await wire.ask("bob", "finish", steps.FinishOrder(action_id="f", summary="done"))).ok
        agents.free()
        await team.until(lambda board: board.agents["bob"].state is AgentStatus.COMPLETED)


@pytest.mark.parametrize("option", [ACCEPT, DECLINE])
async def test_the_user_confirms_or_declines(paths: Paths, temporal: Client, option: str) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await wire.send("alice", "user", "plan", kind="confirm")
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert (asked.options, asked.body) == ((ACCEPT, DECLINE), "Text of plan.")
        agents.free()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        await team.control.answer(team.fleet, asked.id, Answer(option=option, text="Mind the budget."))
        board = await team.until(lambda board: board.messages["m-plan"].state is MessageState.ANSWERED)
        (reply,) = (m.envelope for m in board.messages.values() if m.envelope.reply_to == "m-plan")
        assert reply.sender == "user"
        assert reply.data == {"decision": "accept" if option == ACCEPT else "decline"}
        assert reply.body == f"{'Accepted' if option == ACCEPT else 'Declined'}: Mind the budget."
        await team.until(lambda board: board.messages[reply.id].state is MessageState.READ)
        assert any("Mind the budget." in turn.prompt for turn in team.turns if turn.agent == "alice")


async def test_always_opens_a_channel_until_the_plan_says_otherwise(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        for name in ("first", "second"):
            assert (await wire.send("bob", "alice", name)).text.startswith("Held as")
        board = await team.until(lambda board: len(board.open_interrupts) == 2)
        asked = next(item for item in board.open_interrupts if item.message_id == "m-first")
        await team.control.answer(team.fleet, asked.id, Answer(option=ALWAYS))
        board = await team.until(lambda board: board.agents["alice"].unread == 2)
        assert board.open_interrupts == []
        assert (await wire.send("bob", "alice", "third")).text.startswith("Accepted as")
        assert [fact.recipient for fact in team.facts(ev.ChannelOpened)] == ["alice"]
        agents.free()
        await team.until(lambda board: board.quiet)
        turns = len(team.turns)
        plan = steps.AgentPlan(id="bob", recipients=("carol",), indirect="deny")
        order = steps.PlanOrder(plan=plan, team=frozenset({"alice", "bob", "carol"}))
        await wire.tell("bob", "change_plan", order)
        refused = await wire.send("bob", "alice", "fourth")
        assert refused.text == "Refused: you may not write to alice; you may write to: carol, user."
        assert len(team.turns) == turns, "an agent at rest is not woken by a new plan"
        assert (await wire.send("bob", "carol", "fifth")).ok
        board = await team.until(lambda board: board.messages["m-fifth"].state is MessageState.REFUSED)
        assert board.messages["m-fifth"].reason == "carol has ended and reads no more messages"
        assert DELIVER_ONCE != ALWAYS


async def test_temporals_own_window_tells_who_waits_for_what(paths: Paths, temporal: Client) -> None:
    agents = Agents()
    async with Team(paths, temporal, agents.play) as team:
        wire = await begun(team)
        await wire.send("alice", "bob", "question", awaits="reply")
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        query = f"SkerryFleet = '{team.fleet}' AND SkerryState = 'waiting' AND SkerryReason = 'reply'"
        found = [item async for item in temporal.list_workflows(query)]
        while not found:
            await asyncio.sleep(0.05)
            found = [item async for item in temporal.list_workflows(query)]
        assert [item.id for item in found] == [steps.agent_workflow_id(team.fleet, "alice")]
        assert (await found[0].memo())["team"] == "alice, bob"
        agents.free()
