"""The steps workflows ask for: names, types and time-outs, no bodies. ``app.activities`` implements them.

What travels here is stored in Temporal's history as plain text: ids and a few hundred bytes, never message bodies,
transcripts or credentials.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field
from temporalio.common import RetryPolicy

from app.domain.envelope import MessageRef, MessageState
from app.domain.events import AgentDeclared, Event
from app.workflows.holds import Hold
from app.workflows.references import AgentOrder as AgentOrder  # noqa: PLC0414
from app.workflows.references import Frozen
from app.workflows.references import InterruptRef as InterruptRef  # noqa: PLC0414

TASK_QUEUE = "skerry"

RECORD = "record"
RECORD_MESSAGE = "record_message"
RECORD_DELIVERY = "record_delivery"
OPEN_CHANNEL = "open_channel"
RAISE_CONFIRM = "raise_confirm"
DECLINE_CONFIRM = "decline_confirm"
ANSWER_CONFIRM = "answer_confirm"
STILL_UNREAD = "still_unread"
RECORD_INTERRUPT = "record_interrupt"
RECORD_ANSWER = "record_answer"
RECORD_INSTRUCTIONS = "record_instructions"
EXPIRE_INTERRUPT = "expire_interrupt"
PREPARE_AGENT = "prepare_agent"
RUN_TURN = "run_turn"
MIRROR_WORKSPACE = "mirror_workspace"
RELEASE_AGENT = "release_agent"
PAUSE_MACHINE = "pause_machine"
AWAIT_COMMAND = "await_command"
SUSPEND_MACHINE = "suspend_machine"
THAW_MACHINE = "thaw_machine"
RESUME_MACHINE = "resume_machine"
RESET_MACHINE = "reset_machine"
REMOVE_MACHINE = "remove_machine"

RECORD_TIMEOUT = timedelta(seconds=30)
PREPARE_TIMEOUT = timedelta(minutes=15)
TURN_TIMEOUT = timedelta(hours=24)
MIRROR_TIMEOUT = timedelta(minutes=15)
RELEASE_TIMEOUT = timedelta(minutes=2)
PAUSE_TIMEOUT = timedelta(minutes=1)
SUSPEND_TIMEOUT = timedelta(minutes=10)
END_TIMEOUT = timedelta(seconds=20)
"""How long a start waits for an agent that is just ending."""
HEARTBEAT_TIMEOUT = timedelta(seconds=15)
"""Silence after which a step's worker counts as dead; the engine beats every second."""

STEP_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30), maximum_attempts=50
)
"""Attempts cover engine crashes; an activity that will not get better by itself says so with a non-retryable error."""


class AgentPlan(Frozen):
    """What a workflow must know of an agent to decide; the rest stays in agents.yaml."""

    id: str
    recipients: tuple[str, ...] = ()
    indirect: Literal["ask", "deny", "allow"] = "ask"
    stepwise: bool = False
    """Whether its model is asked by us, one call and one action a step; else a program takes its turns."""


class FleetStart(Frozen):
    """Start of a fleet. ``project_file`` is the path of its agents.yaml; ``rehearsal`` a scenario's path or empty."""

    fleet: str
    run: str
    project: str
    project_file: str
    rehearsal: str = ""
    agents: tuple[AgentPlan, ...]


class PrepareOrder(Frozen):
    """Make the agent's machine ready. ``fresh``: a new machine, whatever an earlier run left."""

    order: AgentOrder
    fresh: bool


class Prepared(Frozen):
    """How the machine came to be. ``clean``: it is a new one, nothing of an earlier conversation is in it."""

    note: str
    clean: bool = False


class PauseOrder(Frozen):
    """Hold an agent: at once, with its machine in memory; ``after_command``: when the command that runs has ended.

    ``to_disk``: its machine is saved when its turn has ended.
    """

    to_disk: bool = False
    after_command: bool = False


class Bounced(Frozen):
    """A message that was accepted of an agent and refused on its way, when nobody was there any more to take it."""

    message_id: str
    recipient: str
    reason: str
    reply: bool = False


class TurnOrder(Frozen):
    """One turn: the prompt is made from the bodies of these messages and answers."""

    order: AgentOrder
    turn: int
    cause: Literal["start", "messages", "answer", "instructions"]
    messages: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    """Where the store keeps the answered interrupts."""
    reminder: tuple[str, ...] = ()
    """Messages the agent read in an earlier turn and has neither accepted nor declined, as it must."""
    bounced: tuple[Bounced, ...] = ()
    """What became of messages of its own that it takes for accepted."""
    again: int = 0
    """How often this turn was cut by a limit: it is taken up again, not given a second time."""
    instructions: tuple[str, ...] = ()
    """Where the store keeps new instructions that came since its last turn."""
    restarted: bool = False
    """It had ended since its last turn, and comes to hear that beside its new instructions."""


class TurnResult(Frozen):
    """How the turn ended, in ACP's words; ``hold`` when it was cut and is to go on later."""

    stop_reason: str
    session: str
    hold: Hold | None = None


class MirrorOrder(Frozen):
    """Bring the changed files of the workspace out after a turn."""

    order: AgentOrder
    turn: int


class ReleaseOrder(Frozen):
    """End the agent's program and power its machine off; the disk stays."""

    order: AgentOrder
    reason: str


class RecordBatch(Frozen):
    """Facts to append; ids make a retry harmless."""

    facts: tuple[Event, ...]


class MessageRecord(Frozen):
    """Append the acceptance (or refusal) of the message whose body is in the store."""

    id: str
    at: datetime
    fleet: str
    run: str
    agent: str
    message_id: str
    state: MessageState
    reason: str = ""


class DeliveryRecord(Frozen):
    """Append that these messages lie in ``agent``'s inbox; that they were accepted, too, should that be missing."""

    at: datetime
    fleet: str
    run: str
    agent: str
    message_ids: tuple[str, ...]


class ChannelOrder(Frozen):
    """Remember that the user lets ``order.agent`` write to ``recipient`` from now on."""

    order: AgentOrder
    recipient: str


class DeclineOrder(Frozen):
    """Decline for ``order.agent`` what it did not decide: put the body of the reply, append its acceptance."""

    order: AgentOrder
    at: datetime
    message_id: str
    reply_id: str
    reason: str


class ConfirmOrder(Frozen):
    """The user has decided on ``message_id`` of ``order.agent``; the store has the answered interrupt under ``body``.

    Put the body of the reply from the user, append its acceptance.
    """

    order: AgentOrder
    at: datetime
    message_id: str
    reply_id: str
    body: str
    decision: Literal["accept", "decline"]


class ConfirmRaise(Frozen):
    """Append the approval that asks the user to confirm ``message_id``, with the text of the message."""

    order: AgentOrder
    at: datetime
    interrupt_id: str
    title: str
    message_id: str


class InterruptRecord(Frozen):
    """Append the interrupt that the store keeps under ``body``: as it was raised, or with its answer."""

    id: str
    at: datetime
    fleet: str
    run: str
    agent: str
    body: str


class SendOrder(Frozen):
    """A message an agent wants to send; ``action_id`` is the same for every retry of the same call.

    ``obstacle``: why it cannot be sent, found where inboxes, rates and waits are counted; the workflow refuses with it.
    """

    action_id: str
    message: MessageRef
    obstacle: str = ""
    received: bool = False
    """The host has seen that the message replied to came to this agent: its workflow may hear of that in a moment."""


class WaitEnd(Frozen):
    """The sender no longer waits for what came of ``message_id``; ``taken`` are messages it was given meanwhile."""

    message_id: str
    taken: tuple[str, ...] = ()
    again: bool = False
    """Whether they are told again when the agent reads its inbox once more in this turn."""
    more: tuple[WaitEnd, ...] = ()
    """What else has ended."""


class ReloadOrder(Frozen):
    """The team as agents.yaml has it now; ``changed`` names those whose entry differs in any way."""

    agents: tuple[AgentPlan, ...]
    changed: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    """Those of them whose machine changes, too: that needs a clean one."""
    declared: tuple[AgentDeclared, ...] = ()
    """The same team as the journal tells of it."""


class PlanOrder(Frozen):
    """A new plan for an agent at work."""

    plan: AgentPlan
    team: frozenset[str]


class RaiseOrder(Frozen):
    """An interrupt an agent raises."""

    action_id: str
    interrupt: InterruptRef


class FinishOrder(Frozen):
    """The agent says that it is done."""

    action_id: str
    summary: str = Field(max_length=4000)


class AnswerOrder(Frozen):
    """A person's answer; the interrupt with all of it is in the store under ``body``."""

    interrupt_id: str
    body: str
    action: Literal["resume", "modify", "cancel"]
    option: str = ""
    by: str = "user"
    has_text: bool = False
    scope: Literal["agent", "task"] = "agent"
    """For ``cancel``."""


class CancelOrder(Frozen):
    """End the turn under way; with ``body``, where the store keeps such instructions, drop the task with it."""

    body: str = ""
    by: str = "user"


class InstructOrder(Frozen):
    """New instructions, which the store has as a fact under ``body``."""

    body: str


class ExpireOrder(Frozen):
    """The time of an interrupt is up: append that, with the asker's default; keep the settled one under ``body``."""

    order: AgentOrder
    at: datetime
    interrupt_id: str
    body: str


class ActionOutcome(Frozen):
    """What a tool call came to; ``unread`` is how many messages wait for the agent."""

    ok: bool
    text: str
    unread: int = 0


class Inbox(Frozen):
    """Messages now in front of the agent."""

    message_ids: tuple[str, ...]


def fleet_workflow_id(fleet: str) -> str:
    """Readable id of a fleet's workflow."""
    return f"fleet/{fleet}"


def agent_workflow_id(fleet: str, agent: str) -> str:
    """Readable id of an agent's workflow."""
    return f"agent/{fleet}/{agent}"


def run_body_id(run: str) -> str:
    """Where the store keeps the ``FleetStart`` of a run: it can be started again when Temporal has lost it."""
    return f"run/{run}"


def interrupt_body_id(interrupt_id: str) -> str:
    """Where the store keeps an interrupt as it was raised."""
    return f"interrupt/{interrupt_id}"


def cancelled_body_id(interrupt_id: str) -> str:
    """Where the store keeps the instructions that an answer has changed."""
    return f"instructions/{interrupt_id}"
