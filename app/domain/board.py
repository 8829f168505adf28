"""Fold facts into what a window shows. The same facts in the same order always give the same board."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import singledispatch

from app.domain import blanket
from app.domain import events as ev
from app.domain.account import Account
from app.domain.budget import Budget, Used
from app.domain.envelope import Envelope, MessageState, may_move
from app.domain.events import ENDED, AgentStatus, Event
from app.domain.interrupt import Interrupt, InterruptKind, InterruptState, urgency
from app.domain.text import first_line


@dataclass(slots=True)
class AgentView:
    """One agent as the dashboard shows it. Counts are of the current run."""

    id: str
    type: str = ""
    description: str = ""
    model: str = ""
    recipients: tuple[str, ...] = ()
    state: AgentStatus = AgentStatus.STARTING
    reason: str = ""
    pausing: bool = False
    since: datetime | None = None
    turn: int = 0
    sandbox: str = ""
    sandbox_note: str = ""
    last_action: str = ""
    memory_snippet: str = ""
    summary: str = ""
    unread: int = 0
    open_interrupts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    commands: int = 0
    mirrored_files: int = 0
    limit: str = ""
    """The last limit its machine came to, in words."""
    limits_reached: int = 0
    removed: bool = False
    """agents.yaml no longer has it."""
    tools_refused: int = 0
    last_refusal: str = ""
    """The last tool call that was refused, and why."""
    account: Account = field(default_factory=Account)
    """What it has used."""
    budget: Budget | None = None
    """What it may use."""

    def used(self, now: datetime) -> list[Used]:
        """Each of its limits, with what is used of it; none in a run of an older Skerry."""
        return [] if self.budget is None else self.account.limits(self.budget, now, self.turn)

    def used_words(self, now: datetime) -> str:
        """The same in a line."""
        return "" if self.budget is None else self.account.summary(self.budget, now, self.turn)

    @property
    def needs_user(self) -> bool:
        """Whether somebody waits for the user because of this agent."""
        return self.open_interrupts > 0 or self.state is AgentStatus.FAILED


@dataclass(slots=True)
class MessageView:
    """A message and how far it came; ``history`` holds (state, when, reason)."""

    envelope: Envelope
    state: MessageState
    reason: str = ""
    history: list[tuple[MessageState, datetime, str]] = field(default_factory=list)


@dataclass(slots=True)
class Board:
    """What is known of one fleet's newest run."""

    fleet: str
    run: str = ""
    project: str = ""
    root: str = ""
    rehearsal: str = ""
    started_at: datetime | None = None
    outcome: str = ""
    agents: dict[str, AgentView] = field(default_factory=dict)
    messages: dict[str, MessageView] = field(default_factory=dict)
    interrupts: dict[str, Interrupt] = field(default_factory=dict)
    blankets: dict[str, datetime] = field(default_factory=dict)
    """Until when everything is approved, by agent (empty: the team); those that are over included."""
    instructions: list[ev.InstructionsChanged] = field(default_factory=list)
    """What the user has told agents to do from now on, oldest first."""
    revision: int = 0
    """Grows with every fact that changed the board."""

    def apply(self, event: Event) -> bool:
        """Take in one fact; False when it is of another fleet or run and changed nothing."""
        if event.fleet != self.fleet:
            return False
        if isinstance(event, ev.RunStarted):
            self._begin(event)
        elif event.run != self.run:
            return False
        _fold(event, self)
        if event.agent in self.agents:
            self.agents[event.agent].account = self.agents[event.agent].account.learn(event)
        self.revision += 1
        return True

    def apply_all(self, batch: Iterable[Event]) -> None:
        """Take in facts, oldest first."""
        for event in batch:
            self.apply(event)

    @property
    def open_interrupts(self) -> list[Interrupt]:
        """Open interrupts, blocking ones first, then by risk and age."""
        return sorted((item for item in self.interrupts.values() if item.state is InterruptState.OPEN), key=urgency)

    @property
    def ended(self) -> bool:
        """Whether every agent of the team has ended."""
        return bool(self._team) and all(agent.state in ENDED for agent in self._team)

    @property
    def quiet(self) -> bool:
        """Whether nothing will happen by itself: all ended or idle, no message on its way, no interrupt that blocks."""
        at_rest = ENDED | {AgentStatus.IDLE}
        return (
            bool(self._team)
            and all(agent.state in at_rest for agent in self._team)
            and not any(self._on_its_way(view) for view in self.messages.values())
            and not any(item.blocking for item in self.open_interrupts)
        )

    @property
    def _team(self) -> list[AgentView]:
        """Who counts: one that a reload removed is being stopped, or was lost before it had ever begun."""
        return [agent for agent in self.agents.values() if not agent.removed]

    def _on_its_way(self, view: MessageView) -> bool:
        recipient = self.agents.get(view.envelope.recipient)
        if recipient is None or recipient.removed or recipient.state in ENDED:
            return view.state is MessageState.HELD
        return view.state in (MessageState.ACCEPTED, MessageState.DELIVERED, MessageState.HELD)

    def _begin(self, event: ev.RunStarted) -> None:
        self.run, self.project, self.root, self.rehearsal = event.run, event.project, event.root, event.rehearsal
        self.started_at, self.outcome = event.at, ""
        self.messages.clear()
        self.interrupts.clear()
        self.blankets.clear()
        self.instructions.clear()
        self.agents = {
            item.id: AgentView(
                item.id, item.type, item.description, item.model, item.recipients, since=event.at, budget=item.budget
            )
            for item in event.agents
        }

    def agent(self, name: str) -> AgentView:
        """The view of an agent, made when a fact names one the run did not declare."""
        if name not in self.agents:
            # What was delivered before it is known counts too, else reading it would count below zero.
            waiting = [view for view in self.messages.values() if view.envelope.recipient == name]
            self.agents[name] = AgentView(name, unread=sum(view.state is MessageState.DELIVERED for view in waiting))
        return self.agents[name]

    def thread(self, message_id: str) -> list[MessageView]:
        """The conversation a message belongs to, oldest first; empty when the message is not known."""
        chosen = self.messages.get(message_id)
        if chosen is None:
            return []
        first = chosen.envelope.correlation_id or message_id
        found = [v for v in self.messages.values() if (v.envelope.correlation_id or v.envelope.id) == first]
        return sorted(found, key=lambda view: view.envelope.sent_at)


@singledispatch
def _fold(event: ev.Fact, board: Board) -> None:
    """Most kinds change the board in their own way; a kind that changes nothing shown is left here."""


@_fold.register
def _ended(event: ev.RunEnded, board: Board) -> None:
    board.outcome = event.outcome


@_fold.register
def _reseeded(event: ev.RunReseeded, board: Board) -> None:
    board.outcome = ""  # it goes on, perhaps after its end, and may end a second time


@_fold.register
def _moved(event: ev.AgentMoved, board: Board) -> None:
    view = board.agent(event.agent)
    view.state, view.reason, view.since, view.turn = event.state, event.reason, event.at, max(view.turn, event.turn)
    view.pausing = event.pausing


@_fold.register
def _sandbox(event: ev.SandboxChanged, board: Board) -> None:
    view = board.agent(event.agent)
    view.sandbox, view.sandbox_note = event.state, event.note


@_fold.register
def _limit(event: ev.LimitReached, board: Board) -> None:
    view = board.agent(event.agent)
    view.limit = f"{event.limit.replace('_', ' ')}: {event.detail}"
    view.limits_reached += event.count


@_fold.register
def _turn_started(event: ev.TurnStarted, board: Board) -> None:
    board.agent(event.agent).turn = event.turn


@_fold.register
def _said(event: ev.AgentSaid, board: Board) -> None:
    if not event.thought:
        board.agent(event.agent).last_action = first_line(event.text)


@_fold.register
def _tool_started(event: ev.ToolStarted, board: Board) -> None:
    board.agent(event.agent).last_action = first_line(event.command or event.title)


@_fold.register
def _tool_ended(event: ev.ToolEnded, board: Board) -> None:
    view = board.agent(event.agent)
    if event.command:
        view.commands += 1


@_fold.register
def _memory(event: ev.MemoryWritten, board: Board) -> None:
    board.agent(event.agent).memory_snippet = first_line(event.text)


@_fold.register
def _mirrored(event: ev.WorkspaceMirrored, board: Board) -> None:
    board.agent(event.agent).mirrored_files += event.files


@_fold.register
def _model(event: ev.ModelCalled, board: Board) -> None:
    view = board.agent(event.agent)
    view.model_calls += 1
    view.input_tokens += event.input_tokens
    view.output_tokens += event.output_tokens


@_fold.register
def _finished(event: ev.AgentFinished, board: Board) -> None:
    board.agent(event.agent).summary = event.summary


@_fold.register
def _accepted(event: ev.MessageAccepted, board: Board) -> None:
    if event.envelope.id not in board.messages:
        history = [(event.state, event.at, event.reason)]
        board.messages[event.envelope.id] = MessageView(event.envelope, event.state, event.reason, history)
        recipient = board.agents.get(event.envelope.recipient)
        if recipient is not None:
            recipient.unread += event.state is MessageState.DELIVERED


@_fold.register
def _message_moved(event: ev.MessageMoved, board: Board) -> None:
    view = board.messages.get(event.message_id)
    if view is None or not may_move(view.state, event.state):
        return
    recipient = board.agents.get(view.envelope.recipient)
    if recipient is not None:
        recipient.unread += (event.state is MessageState.DELIVERED) - (view.state is MessageState.DELIVERED)
    view.state, view.reason = event.state, event.reason
    view.history.append((event.state, event.at, event.reason))


@_fold.register
def _raised(event: ev.InterruptRaised, board: Board) -> None:
    if event.interrupt.id not in board.interrupts:
        board.interrupts[event.interrupt.id] = event.interrupt
        board.agent(event.interrupt.agent).open_interrupts += event.interrupt.kind is not InterruptKind.PROGRESS_REPORT


@_fold.register
def _settled(event: ev.InterruptSettled, board: Board) -> None:
    interrupt = board.interrupts.get(event.interrupt_id)
    if interrupt is None or interrupt.state is not InterruptState.OPEN:
        return
    end = {"state": event.state, "answer": event.answer, "settled_at": event.at}
    board.interrupts[interrupt.id] = interrupt.model_copy(update=end)
    board.agent(interrupt.agent).open_interrupts -= interrupt.kind is not InterruptKind.PROGRESS_REPORT


@_fold.register
def _approvals(event: ev.ApprovalsOpened | ev.ApprovalsClosed, board: Board) -> None:
    blanket.note(board.blankets, event)


@_fold.register
def _instructions(event: ev.InstructionsChanged, board: Board) -> None:
    board.instructions.append(event)


@_fold.register
def _reloaded(event: ev.FleetReloaded, board: Board) -> None:
    for item in event.agents:
        known = item.id in board.agents
        view = board.agent(item.id)
        view.type, view.description, view.model = item.type, item.description, item.model
        view.recipients, view.removed, view.budget = item.recipients, False, item.budget
        if not known or (item.id in event.added and view.state in ENDED):  # it begins, perhaps once more
            view.state, view.reason, view.since = AgentStatus.STARTING, "", event.at
    for name in event.removed:
        if name in board.agents:
            board.agents[name].removed = True


@_fold.register
def _channel(event: ev.ChannelOpened, board: Board) -> None:
    view = board.agent(event.agent)
    if event.recipient not in view.recipients:
        view.recipients = (*view.recipients, event.recipient)


@_fold.register
def _permission(event: ev.PermissionDecided, board: Board) -> None:
    if event.verdict == "deny":
        view = board.agent(event.agent)
        view.tools_refused += 1
        view.last_refusal = f"{first_line(event.command)}: {event.why}"


@_fold.register
def _tool_refused(event: ev.ToolRefused, board: Board) -> None:
    view = board.agent(event.agent)
    view.tools_refused += 1
    view.last_refusal = f"{event.tool}: {event.reason}"
