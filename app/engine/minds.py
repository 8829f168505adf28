"""What the facts of a run say of one agent, made into what its workflow must remember."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.domain import events as ev
from app.domain.envelope import MessageRef, MessageState
from app.domain.events import ENDED, AgentStatus, Event
from app.domain.interrupt import Interrupt, InterruptKind, InterruptState
from app.store.journal import Journal
from app.store.postbox import UNREAD, MessageRow, Postbox, Wait
from app.workflows.orders import TASK_CANCELLED, TURN_CANCELLED
from app.workflows.post import ALWAYS, DELIVER_ONCE
from app.workflows.state import AgentState
from app.workflows.steps import ActionOutcome, AgentOrder, InterruptRef, TurnOrder

KINDS = (
    "fleet_reloaded",
    "agent_moved",
    "turn_started",
    "turn_ended",
    "session_opened",
    "agent_finished",
    "channel_opened",
    "interrupt_raised",
    "interrupt_settled",
    "turn_cancelled",
    "instructions_changed",
)
"""Kinds of facts a past is made of."""

_TOLD = (InterruptState.ANSWERED, InterruptState.EXPIRED)
"""Ends of a question that the agent has to hear of."""


@dataclass(slots=True)
class Past:
    """One agent, as the journal tells of it."""

    moved: ev.AgentMoved | None = None
    begun: ev.TurnStarted | None = None
    over: bool = True
    """Whether that turn has ended."""
    finish: str = ""
    restarted: bool = False
    """It had ended since its last turn."""
    anew: bool = False
    """Its conversation was given up since its last turn."""
    channels: list[str] = field(default_factory=list)
    raised: dict[str, Interrupt] = field(default_factory=dict)
    settled: dict[str, ev.InterruptSettled] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    """Answers that were in a prompt."""
    changes: list[str] = field(default_factory=list)
    """New instructions that were in no prompt yet."""
    resting: str = ""
    """Its turn or its task was cancelled, and nothing came since."""

    @property
    def ended(self) -> AgentStatus | None:
        """How it ended, when it has."""
        return self.moved.state if self.moved is not None and self.moved.state in ENDED else None

    def learn(self, fact: Event) -> None:
        """Take in the next fact of the agent, or of the whole team."""
        match fact:
            case ev.AgentMoved():
                self.moved = fact
                self.restarted = self.restarted or fact.state in ENDED
            case ev.TurnStarted():
                self._begin(fact)
            case ev.TurnEnded():
                self.over = self.over or (self.begun is not None and self.begun.turn == fact.turn)
            case ev.SessionOpened():
                self.anew = not fact.session
            case ev.AgentFinished():
                self.finish = fact.summary
            case ev.ChannelOpened():
                self.channels.append(fact.recipient)
            case ev.FleetReloaded():
                self.channels.clear()  # those that still hold are in the plans of the reload
            case ev.InterruptRaised():
                self.raised[fact.interrupt.id] = fact.interrupt
            case ev.InterruptSettled():
                self.settled[fact.interrupt_id] = fact
                self.resting = ""
            case ev.TurnCancelled():
                self.over = self.over or (self.begun is not None and self.begun.turn == fact.turn)
                self.resting = self.resting or TURN_CANCELLED
            case ev.InstructionsChanged():
                self._instruct(fact)
            case _:
                pass

    def _instruct(self, fact: ev.InstructionsChanged) -> None:
        self.resting = TASK_CANCELLED if fact.cancel else ""
        if fact.cancel or not fact.interrupt_id:  # else the answer tells
            self.changes.append(fact.id)

    def _begin(self, fact: ev.TurnStarted) -> None:
        self.begun, self.over, self.finish = fact, False, ""
        self.restarted = self.anew = False
        self.resting = ""
        self.changes = [] if fact.cause == "start" else [item for item in self.changes if item not in fact.instructions]
        # Which answers a prompt had was not always on record: then it had all there were.
        self.told.update(fact.answers or (self.settled if fact.cause == "answer" else ()))

    def open(self) -> list[Interrupt]:
        """What it asked and nobody has settled."""
        return [item for item in self.raised.values() if item.id not in self.settled]

    def untold(self) -> list[Interrupt]:
        """What was answered, and was in no prompt yet."""
        return [item for item in self.answered() if item.id not in {_interrupt_of(name) for name in self.told}]

    def answered(self) -> list[Interrupt]:
        """What a person answered and the agent has to know."""
        found = []
        for settled in self.settled.values():
            asked = self.raised.get(settled.interrupt_id)
            if asked is not None and settled.state in _TOLD and _is_for_agent(asked, settled):
                found.append(asked.model_copy(update={"state": settled.state, "answer": settled.answer}))
        return found


def seeds(journal: Journal, started: ev.RunStarted) -> int:
    """How often a run was started again from the journal."""
    newest = journal.last("run_reseeded", fleet=started.fleet, run=started.run)
    return newest.seed if isinstance(newest, ev.RunReseeded) else 0


def has_ended(journal: Journal, started: ev.RunStarted) -> bool:
    """Whether the end of a run is on record and it was not started again since."""
    number = seeds(journal, started)
    return journal.has(f"{started.run}/ended/{number}" if number else f"{started.run}/ended")


def let_through(past: Past | None, message_id: str) -> bool:
    """Whether the user had decided that a held message is delivered."""
    asked = [] if past is None else [item for item in past.raised.values() if item.message_id == message_id]
    answers = [past.settled[item.id].answer for item in asked if past is not None and item.id in past.settled]
    return any(
        answer is not None and answer.action == "resume" and answer.option in (DELIVER_ONCE, ALWAYS)
        for answer in answers
    )


def read_pasts(facts: list[Event]) -> dict[str, Past]:
    """The past of every agent that facts of a run name."""
    pasts: dict[str, Past] = {fact.agent: Past() for fact in facts if fact.agent}
    for fact in facts:
        for past in [pasts[fact.agent]] if fact.agent else pasts.values():
            past.learn(fact)
    return pasts


class Minds:
    """Makes agents' minds out of their pasts, the messages, and who waits. Bodies of answers are put in the store."""

    def __init__(self, journal: Journal, postbox: Postbox, *, remember: int) -> None:
        self._journal = journal
        self._postbox = postbox
        self._remember = remember

    def mind(self, order: AgentOrder, past: Past) -> AgentState:
        """Where the agent stands; ``order`` says who it is."""
        rows = self._postbox.of_run(order.fleet, order.run)
        waits = {wait.message_id: wait for wait in self._postbox.waits(order.fleet, order.run)}
        refs = {row.id: _ref(row, waits.get(row.id)) for row in rows}
        state = AgentState(
            turn=past.begun.turn if past.begun is not None else 0,
            facts=self._journal.last_number(f"{order.run}/{order.agent}"),
            finish=past.finish,
            channels=list(past.channels),
            settled=list(past.settled),
            restarted=past.restarted and past.ended is None and past.begun is not None,
            anew=past.anew and past.begun is not None,
        )
        self._fill_inbox(state, order, rows, refs)
        self._recall_actions(state, order, past, rows, refs)
        state.instructions = list(past.changes)
        state.resting = past.resting if not state.inbox else ""
        state.answers = [self._keep_answer(item) for item in past.untold()]
        if past.ended is None:
            self._take_up(state, order, past)
            own = {key: wait for key, wait in waits.items() if wait.waiter == order.agent and key in refs}
            state.waits = {key: refs[key] for key in own} if state.resuming is not None else {}
        if not state.waits:
            self._postbox.end_waits(order.fleet, order.run, order.agent)
        return state

    def _fill_inbox(
        self, state: AgentState, order: AgentOrder, rows: list[MessageRow], refs: dict[str, MessageRef]
    ) -> None:
        seen = (*UNREAD, MessageState.READ, MessageState.ANSWERED)
        mine = [row for row in rows if row.recipient == order.agent and row.state in seen]
        for row in mine:
            if row.state in UNREAD:
                state.inbox.append(refs[row.id])
            elif row.state is MessageState.READ and row.kind == "confirm":
                state.confirms.append(row.id)
        kept = {*(row.id for row in mine[-self._remember :]), *state.confirms, *(ref.id for ref in state.inbox)}
        state.received = {row.id: refs[row.id] for row in mine if row.id in kept}

    def _recall_actions(
        self,
        state: AgentState,
        order: AgentOrder,
        past: Past,
        rows: list[MessageRow],
        refs: dict[str, MessageRef],
    ) -> None:
        """What it did, so that a resumed program that does it again does nothing; and what of it is still open."""
        for row in [row for row in rows if row.sender == order.agent][-self._remember :]:
            state.outcomes[row.id] = _outcome(row)
        for item in list(past.raised.values())[-self._remember :]:
            state.outcomes[item.id] = ActionOutcome(ok=True, text=f"Asked or reported as {item.id}.")
        if past.ended is not None:
            return
        for item in past.open():
            message = refs.get(item.message_id or "")
            state.open[item.id] = InterruptRef(
                id=item.id,
                kind=item.kind,
                title=item.title,
                blocking=item.blocking,
                message=message,
                permission=item.permission,
                about=item.about,
                expires_at=item.expires_at,
            )

    def _take_up(self, state: AgentState, order: AgentOrder, past: Past) -> None:
        """The turn under way, and a pause."""
        moved, begun = past.moved, past.begun
        if moved is not None and moved.state is AgentStatus.PAUSED:
            # It stands still already. Whoever sets its machine going sees that by the same fact: no new one is said.
            state.status, state.reason = moved.state, moved.reason
            state.pause = "disk" if "disk" in moved.reason else "now"
            state.still = state.prepared = state.turn > 0
        elif moved is not None and moved.pausing:
            state.pause = "disk" if "after this turn" in moved.reason else "now"  # also after a command: that was cut
        if begun is None or past.over or past.restarted:
            return
        names = {_interrupt_of(name) for name in begun.answers}
        answers = tuple(self._keep_answer(item) for item in past.answered() if item.id in names)
        turn = TurnOrder(order=order, turn=begun.turn, cause=begun.cause, messages=begun.messages, answers=answers)
        state.inbox = [ref for ref in state.inbox if ref.id not in begun.messages]
        if state.anew:
            state.put_back(turn)
        else:
            state.resuming = turn

    def _keep_answer(self, item: Interrupt) -> str:
        body = f"answer/{item.id}/journal"
        self._journal.put_body(body, item)
        return body


def _interrupt_of(name: str) -> str:
    """The interrupt that a turn names: by its own id, or by where the store keeps its answer."""
    return name.split("/")[1] if name.startswith("answer/") else name


def _is_for_agent(asked: Interrupt, settled: ev.InterruptSettled) -> bool:
    """Not a report without new instructions, not a cancel; of a message the agent hears only when it was refused."""
    answer = settled.answer
    if settled.state is InterruptState.EXPIRED:
        return asked.message_id is None and not asked.permission and not asked.about
    if answer is None or answer.action == "cancel" or asked.permission:
        return False
    if asked.kind is InterruptKind.PROGRESS_REPORT:
        return answer.action == "modify"
    if asked.about:
        return bool(answer.text.strip()) and (answer.action == "modify" or not asked.about.startswith("budget"))
    if asked.message_id is None:
        return True
    accepted = answer.action == "resume" and answer.option in (DELIVER_ONCE, ALWAYS)
    return not accepted and DELIVER_ONCE in asked.options


def _ref(row: MessageRow, wait: Wait | None) -> MessageRef:
    return MessageRef.model_validate(
        {
            "id": row.id,
            "sender": row.sender,
            "recipient": row.recipient,
            "reply_to": row.reply_to,
            "correlation_id": row.correlation_id,
            "kind": row.kind,
            "awaits": None if wait is None else wait.awaits,
            "expires_at": None if row.expires_at is None else datetime.fromisoformat(row.expires_at),
        }
    )


def _outcome(row: MessageRow) -> ActionOutcome:
    if row.state is MessageState.REFUSED:
        return ActionOutcome(ok=False, text=f"Refused: {row.reason}.")
    if row.state is MessageState.HELD:
        return ActionOutcome(ok=True, text=f"Held as {row.id}: the user is asked whether {row.recipient} may get it.")
    return ActionOutcome(ok=True, text=f"Accepted as {row.id}.")
