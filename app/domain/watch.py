"""Whether an agent gets on: what the facts of a run say of silence, of what fails again and again, of empty talk.

Pure: facts go in, suspicions come out. A suspicion is told once; the same again only when a person has answered it and
the agent has got on since. What counts as getting on: docs/limits.md.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.domain import events as ev
from app.domain.envelope import USER, Envelope
from app.domain.events import AgentStatus, Event
from app.domain.interrupt import Interrupt

Cause = Literal["stall", "failures", "ping_pong"]

SHORT_MESSAGE = 280
"""Characters of a message that says hardly anything; a longer one may be work."""
_WHILE_RUNNING = 1.05
"""A command has a time limit of its own, by default the same: that comes first, and is progress."""
_KEPT = 12
_TAIL = 1500

KINDS = (
    "agent_moved",
    "turn_started",
    "turn_resumed",
    "turn_ended",
    "agent_said",
    "tool_started",
    "tool_output",
    "tool_ended",
    "memory_written",
    "workspace_mirrored",
    "message_accepted",
    "interrupt_raised",
    "interrupt_settled",
    "model_called",
    "budget_raised",
    "model_trouble",
)
"""Kinds of facts that say something here or in an ``Account``."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a person should look at an agent. ``evidence`` is Markdown; ``key`` names what of it is told once."""

    cause: Cause
    key: str
    title: str
    evidence: str


@dataclass(slots=True)
class _Asked:
    """What was told of one cause: open until answered, then quiet until the agent has got on."""

    interrupt: str = ""
    answered: bool = False


@dataclass(slots=True)
class AgentWatch:
    """One agent of one run."""

    agent: str
    state: AgentStatus = AgentStatus.STARTING
    moved_at: datetime | None = None
    progress_at: datetime | None = None
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    """Its last doings, a line each."""
    running: dict[str, str] = field(default_factory=dict)
    """Tool calls under way, by their id."""
    output: str = ""
    """The end of what its last command printed."""
    failing: str = ""
    failures: int = 0
    failed: ev.ToolEnded | None = None
    asked: dict[str, _Asked] = field(default_factory=dict)

    def learn(self, fact: Event) -> None:
        """Take in the next fact of this agent."""
        match fact:
            case ev.AgentMoved(state=state):
                self.state, self.moved_at = state, fact.at
            case ev.TurnStarted() | ev.TurnResumed() | ev.TurnEnded():
                self.running.clear()
                self._progress(fact.at, settles=())
            case ev.AgentSaid():
                self.last.append(f"said: {_line(fact.text)}")
                self._progress(fact.at, settles=("stall",))
            case ev.ToolStarted():
                self.running[fact.call_id] = fact.command or fact.title
                self.last.append(f"began: {_line(fact.command or fact.title)}")
                self._progress(fact.at, settles=("stall",))
            case ev.ToolOutput():
                self.output = (self.output + fact.text)[-_TAIL:]
                self._progress(fact.at, settles=("stall",))
            case ev.ToolEnded():
                self._tool_ended(fact)
            case ev.MemoryWritten() | ev.WorkspaceMirrored() | ev.MessageAccepted():
                files = fact.files > 0 if isinstance(fact, ev.WorkspaceMirrored) else True
                if files:
                    self._progress(fact.at, settles=("stall",))
            case ev.InterruptRaised(interrupt=item) if item.about:
                self.asked[item.about] = _Asked(item.id)
            case ev.InterruptSettled():
                for asked in self.asked.values():
                    asked.answered = asked.answered or asked.interrupt == fact.interrupt_id
            case _:
                pass

    def suspicions(self, now: datetime, *, since: datetime, stall: float, failures: int) -> Iterator[Suspicion]:
        """What is wrong at ``now``. ``since``: nobody looked before; ``stall`` in seconds, ``failures`` in a row."""
        quiet_since = max(item for item in (self.progress_at, self.moved_at, since) if item is not None)
        silent = (now - quiet_since).total_seconds()
        patience = stall * _WHILE_RUNNING if self.running else stall
        if self.state is AgentStatus.RUNNING and silent >= patience and "stall" not in self.asked:
            yield Suspicion("stall", "stall", f"{self.agent} has made no progress", self._silence(quiet_since))
        if self.failed is not None and self.failures >= failures and "failures" not in self.asked:
            what = _line(self.failed.command or self.failed.title, 80)
            title = f"{self.agent} fails at the same action: {what}"
            yield Suspicion("failures", "failures", title, _failure(self.failed, self.failures))

    def _tool_ended(self, fact: ev.ToolEnded) -> None:
        self.running.pop(fact.call_id, None)
        self.output = fact.output[-_TAIL:] if fact.output else self.output
        what = fact.command or fact.title
        bad = fact.status == "failed" or fact.exit_status not in (0, None)
        self.last.append(f"{'failed' if bad else 'done'}: {_line(what)}")
        self._progress(fact.at, settles=("stall",) if bad else ("stall", "failures"))
        if not bad:
            if _action(fact) == self.failing.partition("\n")[0]:
                self.failing, self.failures, self.failed = "", 0, None
            return
        result = f"{_action(fact)}\n{fact.exit_status}\n{_shape(fact.output)}"
        self.failures = self.failures + 1 if result == self.failing else 1
        self.failing, self.failed = result, fact

    def _progress(self, at: datetime, settles: tuple[str, ...]) -> None:
        """It gets on: what was answered of these causes may be asked again, should it come again."""
        self.progress_at = at
        for cause in settles:
            if cause in self.asked and self.asked[cause].answered:
                del self.asked[cause]
                if cause == "failures":
                    self.failing, self.failures, self.failed = "", 0, None

    def _silence(self, since: datetime) -> str:
        parts = [f"No tool call, output, message or file since {since.astimezone():%H:%M:%S}."]
        if self.running:
            parts.append("Under way:\n\n" + "\n".join(f"    {_line(item)}" for item in self.running.values()))
        if self.last:
            parts.append("What it did last:\n\n" + "\n".join(f"    {item}" for item in self.last))
        if self.output.strip():
            parts.append("The end of its last output:\n\n" + indented(self.output))
        return "\n\n".join(parts)


@dataclass(slots=True)
class PairWatch:
    """Two agents and the short messages that go to and fro between them."""

    messages: deque[Envelope] = field(default_factory=lambda: deque(maxlen=_KEPT))
    count: int = 0
    asked: _Asked | None = None

    def learn(self, fact: Event) -> None:
        """Take in the next message between the two, or what either of them did."""
        match fact:
            case ev.MessageAccepted(envelope=envelope):
                self._message(envelope)
            case ev.ToolEnded(status="completed", command=command) if command:
                self._worked()
            case ev.WorkspaceMirrored(files=files) if files:
                self._worked()
            case ev.InterruptRaised(interrupt=item) if item.about.startswith("ping_pong"):
                self._told(item)
            case ev.InterruptSettled() if self.asked is not None:
                self.asked.answered = self.asked.answered or self.asked.interrupt == fact.interrupt_id
            case _:
                pass

    def suspicion(self, threshold: int) -> Suspicion | None:
        """What is wrong between the two, when they have exchanged ``threshold`` messages for nothing."""
        if self.count < threshold or self.asked is not None or not self.messages:
            return None
        newest = self.messages[-1]
        lines = [f"{item.sender} → {item.recipient}: {_line(item.body or item.subject, 200)}" for item in self.messages]
        title = f"{newest.sender} and {newest.recipient} write to each other without getting on"
        evidence = f"The last {self.count} messages between them, all short, without a command or a changed file:\n\n"
        key = about_pair(newest.sender, newest.recipient)
        return Suspicion("ping_pong", key, title, evidence + "\n".join(f"    {line}" for line in lines))

    def _message(self, envelope: Envelope) -> None:
        before = self.messages[-1] if self.messages else None
        alternates = before is None or before.sender == envelope.recipient
        if len(envelope.body) > SHORT_MESSAGE or envelope.attachments:
            self._worked()
        elif alternates:
            self.count += 1
        else:
            self.count = 1
        self.messages.append(envelope)

    def _told(self, item: Interrupt) -> None:
        if self.messages and item.about == about_pair(self.messages[-1].sender, self.messages[-1].recipient):
            self.asked, self.count = _Asked(item.id), 0

    def _worked(self) -> None:
        self.count = 0
        if self.asked is not None and self.asked.answered:
            self.asked = None


def about_pair(one: str, other: str) -> str:
    """The name of the suspicion about two agents, in whatever order."""
    return "ping_pong:" + "+".join(sorted((one, other)))


def pair_of(envelope: Envelope) -> tuple[str, str] | None:
    """The two agents a message goes between; None when one is the user, or it asks for a decision."""
    if USER in (envelope.sender, envelope.recipient) or envelope.kind in ("confirm", "receipt"):
        return None
    first, second = sorted((envelope.sender, envelope.recipient))
    return first, second


def indented(text: str, lines: int = 20) -> str:
    """The last lines of some output, as a block."""
    return "\n".join(f"    {line[:200]}" for line in text.rstrip().splitlines()[-lines:])


def _failure(fact: ev.ToolEnded, times: int) -> str:
    status = "" if fact.exit_status is None else f", with exit status {fact.exit_status}"
    parts = [f"It failed {times} times in a row with the same result{status}:", indented(fact.command or fact.title)]
    if fact.output.strip():
        parts.append("The end of its output:\n\n" + indented(fact.output))
    return "\n\n".join(parts)


def _action(fact: ev.ToolEnded) -> str:
    return _line(fact.command or fact.title, 1000)


def _shape(output: str) -> str:
    """Output without its numbers, which are times and addresses: what two results have in common."""
    return re.sub(r"\d+", "#", output[-_TAIL:])


def _line(text: str, width: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
