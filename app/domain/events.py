"""The facts: one frozen type per kind, told apart by ``kind``, read back by one parser.

A fact is appended once: its ``id`` says what happened, so that a retry writes the same id again and is dropped.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from app.domain.budget import Budget
from app.domain.envelope import Envelope, MessageState
from app.domain.fact import Fact as Fact  # noqa: PLC0414  # facts are looked for here
from app.domain.interrupt import Answer, Interrupt, InterruptState
from app.domain.model_facts import BudgetRaised as BudgetRaised  # noqa: PLC0414  # facts are looked for here
from app.domain.model_facts import ConversationCondensed as ConversationCondensed  # noqa: PLC0414  # facts are looked for here
from app.domain.model_facts import ModelCalled as ModelCalled  # noqa: PLC0414  # facts are looked for here
from app.domain.model_facts import ModelTrouble as ModelTrouble  # noqa: PLC0414  # facts are looked for here
from app.domain.order_facts import ApprovalsClosed as ApprovalsClosed  # noqa: PLC0414  # facts are looked for here
from app.domain.order_facts import ApprovalsOpened as ApprovalsOpened  # noqa: PLC0414  # facts are looked for here
from app.domain.order_facts import InstructionsChanged as InstructionsChanged  # noqa: PLC0414  # facts are looked for here
from app.domain.order_facts import TurnCancelled as TurnCancelled  # noqa: PLC0414  # facts are looked for here
from app.domain.rule_facts import PermissionDecided as PermissionDecided  # noqa: PLC0414  # facts are looked for here
from app.domain.rule_facts import RulesReread as RulesReread  # noqa: PLC0414  # facts are looked for here


class AgentStatus(StrEnum):
    """The states of an agent's life."""

    STARTING = "starting"
    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


ENDED = frozenset({AgentStatus.COMPLETED, AgentStatus.FAILED, AgentStatus.STOPPED})


class EngineStarted(Fact):
    """An engine took over."""

    kind: Literal["engine_started"] = "engine_started"
    pid: int
    version: str


class EngineStopped(Fact):
    """An engine went in order; when this is missing it was killed."""

    kind: Literal["engine_stopped"] = "engine_stopped"
    pid: int


class AgentDeclared(BaseModel):
    """An agent as ``agents.yaml`` had it when the run began."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    type: str
    description: str = ""
    model: str = ""
    recipients: tuple[str, ...] = ()
    indirect: Literal["ask", "deny", "allow"] = "ask"
    budget: Budget | None = None
    """What it may use up; None in runs of an older Skerry."""


class RunStarted(Fact):
    """The user started a fleet. ``rehearsal`` names the scenario when a scripted model stands in."""

    kind: Literal["run_started"] = "run_started"
    project: str
    root: str
    agents: tuple[AgentDeclared, ...]
    rehearsal: str = ""


class RunEnded(Fact):
    """All agents of the run have ended."""

    kind: Literal["run_ended"] = "run_ended"
    outcome: Literal["completed", "stopped", "failed"]


class AgentMoved(Fact):
    """An agent's state changed; ``reason`` says why in words. ``pausing``: it is paused as soon as it comes to rest."""

    kind: Literal["agent_moved"] = "agent_moved"
    state: AgentStatus
    reason: str = ""
    turn: int = 0
    pausing: bool = False


class SandboxChanged(Fact):
    """A virtual machine came up, was lost or went; ``seconds`` is how long that took."""

    kind: Literal["sandbox_changed"] = "sandbox_changed"
    state: Literal["starting", "ready", "paused", "suspended", "lost", "stopped", "destroyed"]
    note: str = ""
    seconds: float = 0.0


LimitName = Literal["cpu", "memory", "processes", "disk", "command_time", "output"]


class LimitReached(Fact):
    """An agent's machine came to the end of what it may take; ``detail`` says what happened, in words.

    ``count`` is how often since the last fact of the same limit: there is at most one a minute.
    """

    kind: Literal["limit_reached"] = "limit_reached"
    limit: LimitName
    detail: str
    count: int = 1


class HostReconciled(Fact):
    """An engine compared the machines of this host with the agents at its start.

    ``removed`` holds (what, name, why); ``lost`` the machines that should have been there.
    """

    kind: Literal["host_reconciled"] = "host_reconciled"
    living: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    removed: tuple[tuple[str, str, str], ...] = ()


class SessionOpened(Fact):
    """The agent's program opened the conversation that later turns, and a resumed one, load.

    An empty ``session``: it was given up with its machine, the next turn opens a new one.
    """

    kind: Literal["session_opened"] = "session_opened"
    session: str


class TurnStarted(Fact):
    """A prompt went to the agent."""

    kind: Literal["turn_started"] = "turn_started"
    turn: int
    cause: Literal["start", "messages", "answer", "instructions"]
    prompt: str
    messages: tuple[str, ...] = ()
    """Ids of the messages in the prompt."""
    answers: tuple[str, ...] = ()
    """Ids of the answered interrupts in the prompt (before 0.3.0 not on record)."""
    instructions: tuple[str, ...] = ()
    """Ids of the new instructions in the prompt."""
    rules: str = ""
    """Which prose of its rules the agent has been given by now: a digest (before 0.4.0 not on record)."""


class TurnResumed(Fact):
    """A turn that a crash, or (``again``: how often) a limit, cut goes on in the same conversation."""

    kind: Literal["turn_resumed"] = "turn_resumed"
    turn: int
    attempt: int
    again: int = 0


class TurnEnded(Fact):
    """The agent ended its turn; token counts are the provider's, 0 when it gave none."""

    kind: Literal["turn_ended"] = "turn_ended"
    turn: int
    stop_reason: str
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


class AgentSaid(Fact):
    """Words of the agent; ``thought`` when they are its reasoning."""

    kind: Literal["agent_said"] = "agent_said"
    turn: int
    text: str
    thought: bool = False


class ToolStarted(Fact):
    """The agent's program began a tool call; ``command`` is set when it runs one."""

    kind: Literal["tool_started"] = "tool_started"
    turn: int
    call_id: str
    title: str
    tool_kind: str = ""
    command: str = ""


class ToolOutput(Fact):
    """More output of a running tool call, coalesced."""

    kind: Literal["tool_output"] = "tool_output"
    turn: int
    call_id: str
    text: str


class ToolEnded(Fact):
    """A tool call ended; ``output`` is the whole of it within limits, ``dropped`` the bytes beyond."""

    kind: Literal["tool_ended"] = "tool_ended"
    turn: int
    call_id: str
    title: str = ""
    command: str = ""
    status: Literal["completed", "failed"]
    exit_status: int | None = None
    output: str = ""
    dropped: int = 0


class MessageAccepted(Fact):
    """A message is in Skerry's hands: it will not be lost. ``state`` is accepted, held or refused."""

    kind: Literal["message_accepted"] = "message_accepted"
    envelope: Envelope
    state: MessageState = MessageState.ACCEPTED
    reason: str = ""


class MessageMoved(Fact):
    """A message changed state."""

    kind: Literal["message_moved"] = "message_moved"
    message_id: str
    state: MessageState
    reason: str = ""


class ToolRefused(Fact):
    """A tool call of an agent was refused before anything came of it: malformed, forbidden text, not its message."""

    kind: Literal["tool_refused"] = "tool_refused"
    tool: str
    reason: str


class ChannelOpened(Fact):
    """The user lets ``agent`` write to ``recipient`` from now on, though agents.yaml does not list it."""

    kind: Literal["channel_opened"] = "channel_opened"
    recipient: str


class FleetReloaded(Fact):
    """agents.yaml was read again while the team was at work; ``agents`` is the whole team now."""

    kind: Literal["fleet_reloaded"] = "fleet_reloaded"
    agents: tuple[AgentDeclared, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    """Those of them whose machine changes, too: that takes a clean one."""


class RunReseeded(Fact):
    """Temporal did not know a run that the journal has: it was started again from the journal's facts.

    ``seed`` counts these; workflows of an earlier seed are ended wherever they turn up.
    """

    kind: Literal["run_reseeded"] = "run_reseeded"
    seed: int
    why: str


class InterruptRaised(Fact):
    """A person is needed, or told."""

    kind: Literal["interrupt_raised"] = "interrupt_raised"
    interrupt: Interrupt


class InterruptSettled(Fact):
    """An interrupt is no longer open."""

    kind: Literal["interrupt_settled"] = "interrupt_settled"
    interrupt_id: str
    state: InterruptState
    answer: Answer | None = None


class MemoryWritten(Fact):
    """An agent's memory file has a new revision."""

    kind: Literal["memory_written"] = "memory_written"
    revision: int
    heading: str
    text: str
    action: Literal["append", "replace"]


class WorkspaceMirrored(Fact):
    """Changed files of the workspace were brought out; ``refused`` holds (name, reason)."""

    kind: Literal["workspace_mirrored"] = "workspace_mirrored"
    turn: int
    files: int
    bytes: int
    removed: int = 0
    refused: tuple[tuple[str, str], ...] = ()


class AgentFinished(Fact):
    """The agent said that its task is complete."""

    kind: Literal["agent_finished"] = "agent_finished"
    summary: str


Event = Annotated[
    EngineStarted
    | EngineStopped
    | RunStarted
    | RunEnded
    | AgentMoved
    | SandboxChanged
    | LimitReached
    | HostReconciled
    | SessionOpened
    | TurnStarted
    | TurnResumed
    | TurnEnded
    | AgentSaid
    | ToolStarted
    | ToolOutput
    | ToolEnded
    | PermissionDecided
    | RulesReread
    | MessageAccepted
    | MessageMoved
    | ToolRefused
    | ChannelOpened
    | FleetReloaded
    | RunReseeded
    | InterruptRaised
    | InterruptSettled
    | InstructionsChanged
    | TurnCancelled
    | ApprovalsOpened
    | ApprovalsClosed
    | MemoryWritten
    | WorkspaceMirrored
    | ModelCalled
    | ConversationCondensed
    | BudgetRaised
    | ModelTrouble
    | AgentFinished,
    Field(discriminator="kind"),
]

_PARSER: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(text: str | bytes) -> Event:
    """The fact in a line of JSON. Raises pydantic.ValidationError for anything else."""
    return _PARSER.validate_json(text)


def dump_event(event: Event) -> str:
    """One line of JSON that ``parse_event`` reads back."""
    return event.model_dump_json()
