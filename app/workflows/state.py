"""Everything an agent's workflow remembers, in one serialisable value: it survives a restart and a continue-as-new."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.envelope import USER, MessageRef
from app.domain.events import AgentStatus
from app.domain.interrupt import InterruptKind
from app.workflows.holds import Hold
from app.workflows.steps import (
    ActionOutcome,
    AgentOrder,
    AgentPlan,
    Bounced,
    FleetStart,
    InterruptRef,
    TurnOrder,
    WaitEnd,
)

MAX_INBOX = 100
"""Unread messages an agent may have; one more is refused to the sender."""

_REMEMBERED = 500

_NEEDED = {InterruptKind.DEBUG_REQUEST: "debugging help", InterruptKind.APPROVAL: "your approval"}

Cause = Literal["start", "messages", "answer", "instructions"]


class AgentState(BaseModel):
    """One agent's mind as far as it is Skerry's: what came in, what is open, what was answered."""

    model_config = ConfigDict(extra="ignore")

    status: AgentStatus = AgentStatus.STARTING
    reason: str = ""
    turn: int = 0
    prepared: bool = False
    facts: int = 0
    """Facts recorded so far: the next one's number."""
    inbox: list[MessageRef] = Field(default_factory=list)
    taken: list[str] = Field(default_factory=list)
    """Messages read through read_inbox in the present turn: asked again, they are told again."""
    received: dict[str, MessageRef] = Field(default_factory=dict)
    outcomes: dict[str, ActionOutcome] = Field(default_factory=dict)
    """Actions done and what was told of them: the same action again changes nothing."""
    open: dict[str, InterruptRef] = Field(default_factory=dict)
    settled: list[str] = Field(default_factory=list)
    answers: list[str] = Field(default_factory=list)
    """Where the store keeps answered interrupts the agent has not been told of."""
    finish: str = ""
    stop: str = ""
    pause: Literal["", "now", "command", "disk"] = ""
    """What the user wants of it: go on; stand still at once, or after the command; be saved to disk after the turn."""
    still: bool = False
    """Whether its machine stands still, or is on the disk, because of ``pause``."""
    reset: bool = False
    """The user wants a clean machine; it is made before the next turn."""
    anew: bool = False
    """Its conversation was given up with its machine: the next turn begins like the first."""
    outbox: list[MessageRef] = Field(default_factory=list)
    """Messages accepted of this agent and not yet handed to their recipients' workflows, oldest first."""
    waits: dict[str, MessageRef] = Field(default_factory=dict)
    """Messages whose fate the agent awaits in the middle of its turn."""
    bounced: list[Bounced] = Field(default_factory=list)
    """Messages accepted of it that came back, which its next prompt has to say."""
    doing: str = ""
    """Why the present turn runs."""
    given: list[str] = Field(default_factory=list)
    """Messages handed to the agent as a tool's answer: should they come in afterwards, they are not new."""
    confirms: list[str] = Field(default_factory=list)
    """Messages that ask for a confirmation and have neither been accepted nor declined; those read, not the unread."""
    reminders: dict[str, int] = Field(default_factory=dict)
    """How often the agent was reminded of each of these."""
    channels: list[str] = Field(default_factory=list)
    """Agents the user lets it write to though agents.yaml does not list them."""
    resuming: TurnOrder | None = None
    """The turn that was under way when the run was seeded from the journal: it goes on under its own number."""
    restarted: bool = False
    """It had ended and was started again: the next turn tells it so."""
    hold: Hold | None = None
    """What keeps it from a turn: a budget, or a model provider or a machine that is not there."""
    trouble: str = ""
    """The cause of that hold, or of the last one."""
    held_since: datetime | None = None
    """When that trouble began; a hold that comes again without a good turn between is the same trouble."""
    tries: int = 0
    """How often it went on, or its provider was asked, since then."""
    deciding: bool = False
    """Whether an answer about a limit is being put on record: before that no turn may begin."""
    look_again: bool = False
    """Whether agents.yaml was read again since: its limits may be others."""
    cut: str = ""
    """The user wants the present turn to end: why."""

    instructions: list[str] = Field(default_factory=list)
    """Where the store keeps new instructions the agent has not been told of."""
    cancel: bool = False
    """The user wants the turn under way to end."""
    resting: str = ""
    """Why it gets no turn until something new comes in: its turn, or its task, was cancelled."""

    def started_again(self) -> AgentState:
        """The mind of an agent that has ended, for its next life: same inbox, same conversation, no open ends."""
        over = {"finish": "", "stop": "", "prepared": False, "pause": "", "still": False, "reset": False, "open": {}}
        over |= {"hold": None, "held_since": None, "tries": 0, "cut": "", "cancel": False, "resting": ""}
        ends: dict[str, object] = {"waits": {}, "resuming": None, "restarted": self.turn > 0}
        return self.model_copy(update={**over, **ends}, deep=True)

    def receive(self, message: MessageRef) -> bool:
        """Take a message in; False when it is here already."""
        if message.id in self.received:
            return False
        self.received[message.id] = message
        self.resting = ""
        if message.id not in self.given:
            self.inbox.append(message)
        if message.reply_to is not None:
            self.waits.pop(message.reply_to, None)
        self._forget_old()
        return True

    def take_inbox(self) -> list[str]:
        """Ids of all messages unread or read in this turn; afterwards none is unread."""
        self.taken.extend(self._empty_inbox())
        return list(self.taken)

    def take_given(self, message_ids: Sequence[str]) -> None:
        """These were put before the agent as a tool's answer, perhaps before they have come in."""
        self.given = [*self.given, *message_ids][-_REMEMBERED:]
        self.inbox = [message for message in self.inbox if message.id not in message_ids]

    def end_wait(self, end: WaitEnd) -> None:
        """Who waited for a message has been told what became of it, and was given ``end.taken``."""
        self.waits.pop(end.message_id, None)
        self.bounced = [item for item in self.bounced if item.message_id != end.message_id]
        self.take_given(end.taken)
        if end.again:
            self.taken.extend(item for item in end.taken if item not in self.taken)
        for other in end.more:
            self.end_wait(other)

    def bounce(self, item: Bounced) -> None:
        """Have the next prompt say that a message came back; once, though it be tried again to put that on record."""
        if item not in self.bounced:
            self.bounced.append(item)

    def remove_unread(self, message_ids: Sequence[str]) -> list[str]:
        """Take messages out of the inbox again; which of them were still there."""
        there = [message.id for message in self.inbox if message.id in message_ids]
        self.inbox = [message for message in self.inbox if message.id not in there]
        return there

    def decided(self, message_id: str | None) -> None:
        """The agent has accepted or declined a message, or replied to it."""
        if message_id in self.confirms:
            self.confirms.remove(message_id)
            self.reminders.pop(message_id, None)

    def _empty_inbox(self) -> list[str]:
        ids = [message.id for message in self.inbox]
        self.confirms.extend(m.id for m in self.inbox if m.kind == "confirm" and m.id not in self.confirms)
        self.inbox.clear()
        return ids

    def judge(
        self, message: MessageRef, plan: AgentPlan, team: frozenset[str], *, received: bool = False
    ) -> Literal["direct", "ask", "deny"] | str:
        """What the topology says of a message: ``direct``, ``ask``, ``deny``, or words for one that cannot be.

        ``received``: the host knows that what it replies to has come.
        """
        if message.recipient == plan.id:
            return "you cannot write to yourself; keep notes with memory_append"
        if message.recipient != USER and message.recipient not in team:
            return f"there is no agent {message.recipient!r}; the team: {', '.join(sorted(team - {plan.id}))}, {USER}"
        if message.reply_to is not None:
            known = received or message.reply_to in self.received or message.reply_to in self.given
            return "direct" if known else f"you have received no message {message.reply_to!r}"
        if message.recipient == USER or message.recipient in (*plan.recipients, *self.channels):
            return "direct"
        return {"allow": "direct", "ask": "ask", "deny": "deny"}[plan.indirect]

    def next_cause(self) -> Cause | None:
        """Why the agent should have a turn now, or None when it has to wait."""
        if self.resting:
            return None
        if self.turn == 0 or self.anew:
            return "start"
        if self.restarted or self.instructions:
            return "instructions"
        if self.answers:
            return "answer"
        if self.blocked_by is None and (self.inbox or self.confirms or self._waits_in_vain):
            return "messages"
        return None

    @property
    def has_work(self) -> bool:
        """Whether there is a turn for the agent."""
        return not self.deciding and (self.resuming is not None or self.next_cause() is not None)

    @property
    def over(self) -> bool:
        """Whether the agent's life ends: it is stopped, or has finished and nothing is left to be done."""
        left = self.inbox or self.confirms or self.resuming or self.held or self.instructions
        done = bool(self.finish) and not left
        return bool(self.stop) or (done and not self.pause and not self.reset)

    @property
    def _waits_in_vain(self) -> bool:
        """Whether it may be waiting for the answer to what has come back; nobody answers a reply."""
        return not self.finish and any(not item.reply for item in self.bounced)

    @property
    def blocked_by(self) -> InterruptRef | None:
        """The open question the agent waits for, the oldest first; those about a limit belong to ``hold``."""
        waits = (item for item in self.open.values() if item.blocking and not (item.permission or item.of_hold))
        return next(waits, None)

    @property
    def asked_for(self) -> InterruptRef | None:
        """What the agent's program may only do when the user allows it, and waits for in its turn; the oldest first."""
        return next((item for item in self.open.values() if item.permission), None)

    @property
    def held(self) -> InterruptRef | None:
        """A message of this agent that waits for the user's decision, the oldest first."""
        return next((item for item in self.open.values() if item.message is not None), None)

    def next_turn(self, order: AgentOrder) -> TurnOrder:
        """The turn that a lost Temporal had under way, or a limit has cut; else a new one."""
        resuming, self.resuming = self.resuming, None
        if resuming is None:
            return self.begin_turn(order)
        self.turn = resuming.turn
        return resuming.model_copy(update={"order": order})

    def begin_turn(self, order: AgentOrder) -> TurnOrder:
        """The next turn: with its number, and all that the agent will be told."""
        cause = self.next_cause() or "messages"
        reminder, answers, bounced = tuple(self.confirms), tuple(self.answers), tuple(self.bounced)
        for message_id in reminder:
            self.reminders[message_id] = self.reminders.get(message_id, 0) + 1
        messages = tuple(self._empty_inbox())
        instructions, restarted = tuple(self.instructions), self.restarted
        for said in (self.answers, self.taken, self.bounced, self.instructions):
            said.clear()
        self.turn += 1
        self.anew = self.restarted = False
        return TurnOrder(
            order=order,
            turn=self.turn,
            cause=cause,
            messages=messages,
            answers=answers,
            reminder=reminder,
            bounced=bounced,
            instructions=instructions,
            restarted=restarted,
        )

    def put_back(self, turn: TurnOrder | None) -> None:
        """Undo what ``turn`` took out of the inbox, as nobody will remember that turn.

        Messages of earlier turns that wait for a decision come again as well: their text is forgotten with the rest.
        """
        messages, answers = (turn.messages, turn.answers) if turn is not None else ((), ())
        again = [item for item in (*self.confirms, *messages) if item in self.received]
        self.inbox[:0] = [self.received[item] for item in dict.fromkeys(again)]
        self.confirms.clear()
        self.reminders.clear()
        self.answers[:0] = answers
        self.bounced[:0] = turn.bounced if turn is not None else ()
        self.resuming = None

    def bring_again(self, message_ids: Sequence[str]) -> None:
        """These were in a turn that was cut before they came before the agent: they are unread still."""
        again = [self.received[item] for item in message_ids if item in self.received]
        self.inbox[:0] = again
        self.confirms = [item for item in self.confirms if item not in message_ids]

    def settle(self, interrupt_id: str) -> InterruptRef:
        """Close an open interrupt; the agent is told of it unless nobody asked anything."""
        item = self.open.pop(interrupt_id)
        self.settled.append(interrupt_id)
        return item

    def waiting_for(self) -> tuple[AgentStatus, str]:
        """State and reason of an agent that has no turn."""
        if self.resting:
            return AgentStatus.IDLE, self.resting
        question = self.blocked_by
        if question is None:
            if self.finish and self.held is not None:
                return AgentStatus.WAITING, f"your approval: {self.held.title}"
            return AgentStatus.IDLE, "waits for messages"
        needed = _NEEDED.get(question.kind, "your answer")
        return AgentStatus.WAITING, f"{needed}: {question.title}"

    def remember(self, action_id: str, outcome: ActionOutcome) -> ActionOutcome:
        """Keep what an action came to and return it."""
        self.outcomes[action_id] = outcome
        while len(self.outcomes) > _REMEMBERED:
            del self.outcomes[next(iter(self.outcomes))]
        return outcome

    def _forget_old(self) -> None:
        while len(self.received) > _REMEMBERED:
            del self.received[next(iter(self.received))]


def why(turn: TurnOrder, state: AgentState) -> str:
    """The reason shown while a turn runs."""
    if turn.again:
        return "goes on where a limit had stopped it"
    if turn.cause == "start":
        return "begins its task"
    if turn.cause == "answer":
        return "goes on with your answer"
    if turn.instructions:
        return "reads your new instructions"
    if turn.cause == "instructions":
        return "goes on where it had stopped"
    if turn.reminder and not turn.messages:
        return f"is reminded to accept or decline {', '.join(turn.reminder)}"
    senders = sorted({state.received[item].sender for item in turn.messages if item in state.received})
    return f"reads messages from {', '.join(senders)}" if senders else "goes on"


class AgentStart(BaseModel):
    """Input of an agent's workflow; ``state`` is set when it goes on after a continue-as-new."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    fleet: str
    run: str
    project_file: str
    rehearsal: str = ""
    plan: AgentPlan
    team: frozenset[str]
    state: AgentState | None = None


class AgentEnd(BaseModel):
    """How an agent's workflow ended, and its mind: a later start goes on from there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: AgentStatus
    state: AgentState


class FleetSeed(BaseModel):
    """Where a run stood when Temporal lost it: the minds of its agents, and how those ended that have."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    minds: dict[str, AgentState]
    ended: dict[str, AgentStatus] = Field(default_factory=dict)


class FleetRun(FleetStart):
    """Input of a fleet's workflow: its start (a plain ``FleetStart`` is read as one), and where it stood when lost."""

    seed: FleetSeed | None = None
