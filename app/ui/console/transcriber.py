"""Turns one agent's facts into the pieces a transcript appends. Pure: the same facts give the same pieces."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.domain import events as ev
from app.domain.actions import ACTIONS
from app.domain.board import MessageView
from app.domain.envelope import Envelope, MessageState
from app.domain.events import ENDED, AgentStatus, Event
from app.domain.text import first_line, printable
from app.ui.console.ansi import AnsiParser
from app.ui.console.entries import Entry, EntryKind, Piece, Progress, Role, piece
from app.ui.wording import (
    answer_words,
    cause_words,
    duration,
    kind_verb,
    limit_words,
    person,
    plural,
    precise,
    size,
    state_word,
)

_OWN_TOOL = re.compile(rf"(?:mcp__skerry__|skerry: ?)({'|'.join(action.name for action in ACTIONS)})\b")
"""As Codex and as Claude Code name a tool of the gateway."""
_READING = {
    "memory_read": "Reads its memory",
    "memory_search": "Searches its memory",
    "read_inbox": "Looks into its inbox",
}
_LONG_COMMAND = 8
"""A command with more lines than these, a file written by hand say, is folded."""
_NO_ANSWER = "no longer open"


@dataclass(slots=True)
class _Call:
    """A tool call that runs: how much of its output was written, and whether the last line is open."""

    entry: Entry
    parser: AnsiParser = field(default_factory=AnsiParser)
    written: int = 0
    line_open: bool = False


class Transcriber:
    """Knows the open tool calls. ``messages`` is the board's, to name a message that is known by id only."""

    def __init__(self, agent: str, messages: Mapping[str, MessageView]) -> None:
        self._agent = agent
        self._messages = messages
        self._calls: dict[str, _Call] = {}
        self._own_calls: dict[str, str] = {}
        self._last: Entry | None = None
        self._writers: Mapping[type[ev.Fact], Callable[[Event], list[Piece]]] = self._table()

    def write(self, event: Event) -> list[Piece]:
        """The pieces for one fact; none for a fact that a transcript does not tell."""
        writer = self._writers.get(type(event))
        pieces = writer(event) if writer is not None else []
        if pieces:
            self._last = pieces[-1].entry
        return pieces

    def _table(self) -> Mapping[type[ev.Fact], Callable[..., list[Piece]]]:
        return {
            ev.TurnStarted: self._turn_started,
            ev.TurnResumed: self._turn_resumed,
            ev.TurnEnded: self._turn_ended,
            ev.AgentSaid: self._said,
            ev.ToolStarted: self._tool_started,
            ev.ToolOutput: self._tool_output,
            ev.ToolEnded: self._tool_ended,
            ev.AgentMoved: self._moved,
            ev.SandboxChanged: self._sandbox,
            ev.LimitReached: self._limit,
            ev.MessageAccepted: self._accepted,
            ev.MessageMoved: self._message_moved,
            ev.InterruptRaised: self._raised,
            ev.InterruptSettled: self._settled,
            ev.MemoryWritten: self._memory,
            ev.WorkspaceMirrored: self._mirrored,
            ev.ModelCalled: self._model_called,
            ev.AgentFinished: self._finished,
        }

    # -- turns -----------------------------------------------------------------------------------------------------
    def _turn_started(self, event: ev.TurnStarted) -> list[Piece]:
        turn = Entry(EntryKind.TURN, event.at, f"Turn {event.turn}")
        pieces = [piece(turn, Role.HEAD, turn.title), piece(turn, Role.ASIDE, cause_words(event.cause), fresh=False)]
        return pieces + _folding(EntryKind.PROMPT, event, "Prompt", event.prompt)

    def _turn_resumed(self, event: ev.TurnResumed) -> list[Piece]:
        cut = "a limit" if event.again else f"an interruption, attempt {event.attempt}"
        return self._note(event, f"Turn {event.turn} goes on after {cut}")

    def _turn_ended(self, event: ev.TurnEnded) -> list[Piece]:
        self._let_go_of_calls()
        parts = [f"Turn {event.turn} ended", "" if event.stop_reason == "end_turn" else printable(event.stop_reason)]
        parts.append(duration(event.seconds) if event.seconds else "")
        if event.input_tokens or event.output_tokens:
            parts.append(f"{event.input_tokens:,} tokens in, {event.output_tokens:,} out")
        return self._note(event, " · ".join(part for part in parts if part))

    def _said(self, event: ev.AgentSaid) -> list[Piece]:
        text = printable(event.text.strip("\n"))
        if not text.strip():
            return []
        if event.thought:
            return _folding(EntryKind.THOUGHT, event, "Thought", event.text)
        going_on = self._last is not None and self._last.kind is EntryKind.WORDS
        entry = self._last if going_on and self._last is not None else Entry(EntryKind.WORDS, event.at)
        return [piece(entry, Role.BODY, text)]

    # -- tool calls ------------------------------------------------------------------------------------------------
    def _tool_started(self, event: ev.ToolStarted) -> list[Piece]:
        own = _OWN_TOOL.match(event.title)
        if own is not None and not event.command:
            return self._own_tool(event, own.group(1), event.title[own.end() :])
        return self._open_call(event, event.call_id, event.command, event.title)

    def _open_call(self, event: Event, call_id: str, command: str, title: str) -> list[Piece]:
        first, rest = _head_and_rest(printable(command.strip()), printable(title.strip()))
        lines = rest.count("\n") + 1 if rest else 0
        folds = not command.strip() or lines > _LONG_COMMAND
        folds = folds and bool(rest)
        entry = Entry(EntryKind.COMMAND, event.at, first, folds=folds, folded=folds, progress=Progress.RUNNING)
        self._calls[call_id] = _Call(entry)
        self._last = entry
        pieces = [piece(entry, Role.HEAD, ("$ " if command.strip() else "") + first)]
        if folds:
            aside = f"and {lines} more lines" if command.strip() else first_line(rest, 90)
            pieces.append(piece(entry, Role.ASIDE, aside, fresh=False))
        return [*pieces, piece(entry, Role.BODY, rest)] if rest else pieces

    def _own_tool(self, event: ev.ToolStarted, name: str, arguments: str) -> list[Piece]:
        """One of Skerry's tools: what it did is told by a fact of its own, what it only read is told here."""
        self._own_calls[event.call_id] = name
        return self._note(event, f"{_READING[name]}{_quoted(arguments)}") if name in _READING else []

    def _tool_output(self, event: ev.ToolOutput) -> list[Piece]:
        if event.call_id in self._own_calls:
            return []
        opened = [] if event.call_id in self._calls else self._open_call(event, event.call_id, "", "")
        return opened + self._output(self._calls[event.call_id], event.text)

    def _tool_ended(self, event: ev.ToolEnded) -> list[Piece]:
        pieces: list[Piece] = []
        name = self._own_calls.pop(event.call_id, "")
        if name:
            why = first_line(event.output, 300)
            return self._trouble(event, f"{name} was refused: {why}") if event.status == "failed" else []
        if event.call_id not in self._calls:
            pieces += self._open_call(event, event.call_id, event.command, event.title)
        call = self._calls.pop(event.call_id)
        # The end repeats the whole output: only what has not been written yet is new.
        pieces += self._output(call, event.output[call.written :])
        failed = event.status == "failed" or event.exit_status not in (None, 0)
        call.entry.progress = Progress.FAILED if failed else Progress.DONE
        pieces += [] if pieces else self._again(call)
        return [*pieces, piece(call.entry, Role.END, _ending(event, (event.at - call.entry.at).total_seconds()))]

    def _output(self, call: _Call, text: str) -> list[Piece]:
        runs = tuple(call.parser.feed(text))
        call.written += len(text)
        if not runs:
            return []
        again = self._again(call)
        written = Piece(call.entry, Role.OUTPUT, runs, fresh=bool(again) or not call.line_open)
        call.line_open = True
        self._last = call.entry
        return [*again, written]

    def _again(self, call: _Call) -> list[Piece]:
        """Another entry came in between: name the call before it goes on below that."""
        if self._last is call.entry:
            return []
        return [piece(call.entry, Role.ASIDE, f"… {call.entry.title}")]

    # -- what happened around it -----------------------------------------------------------------------------------
    def _let_go_of_calls(self) -> None:
        """Calls whose end was never told run no longer: how they ended is not known."""
        for call in self._calls.values():
            call.entry.progress = Progress.NONE
        self._calls.clear()

    def _moved(self, event: ev.AgentMoved) -> list[Piece]:
        if event.state in ENDED:
            self._let_go_of_calls()
        text = state_word(event.state) + (f": {event.reason}" if event.reason else "")
        if event.state is AgentStatus.FAILED:
            return self._trouble(event, text)
        # A turn's header says already that the agent runs.
        return [] if event.state is AgentStatus.RUNNING else self._note(event, text)

    def _sandbox(self, event: ev.SandboxChanged) -> list[Piece]:
        took = f" after {precise(event.seconds)}" if event.seconds and event.state == "ready" else ""
        text = f"Virtual machine {event.state}{took}" + (f": {event.note}" if event.note else "")
        if event.state == "starting" and event.note:
            text = f"Virtual machine: {event.note}"
        return self._trouble(event, text) if event.state == "lost" else self._note(event, text)

    def _limit(self, event: ev.LimitReached) -> list[Piece]:
        return self._trouble(event, limit_words(event))

    def _accepted(self, event: ev.MessageAccepted) -> list[Piece]:
        envelope = event.envelope
        if envelope.sender != self._agent:
            return []
        text = f"Message to {person(envelope.recipient)}: {_subject(envelope)}"
        refused = event.state is MessageState.REFUSED
        return self._trouble(event, f"{text} — refused: {event.reason}") if refused else self._note(event, text)

    def _message_moved(self, event: ev.MessageMoved) -> list[Piece]:
        view = self._messages.get(event.message_id)
        if view is None or view.envelope.recipient != self._agent or event.state is not MessageState.DELIVERED:
            return []
        return self._note(event, f"Message from {person(view.envelope.sender)}: {_subject(view.envelope)}")

    def _raised(self, event: ev.InterruptRaised) -> list[Piece]:
        return self._note(event, f"{kind_verb(event.interrupt.kind).capitalize()}: {event.interrupt.title}")

    def _settled(self, event: ev.InterruptSettled) -> list[Piece]:
        words = answer_words(event.answer) if event.answer is not None else _NO_ANSWER
        return self._note(event, f"Answer: {first_line(words)}")

    def _memory(self, event: ev.MemoryWritten) -> list[Piece]:
        verb = "Noted" if event.action == "append" else "Rewrote its note"
        return self._note(event, f"{verb} under “{event.heading}”: {first_line(event.text)}")

    def _mirrored(self, event: ev.WorkspaceMirrored) -> list[Piece]:
        refused = [
            part for name, reason in event.refused for part in self._trouble(event, f"{name} stayed inside: {reason}")
        ]
        if not event.files and not event.removed:
            return refused
        removed = f", {event.removed} removed" if event.removed else ""
        copied = f"Workspace copied out: {plural(event.files, 'file')}, {size(event.bytes)}{removed}"
        return self._note(event, copied) + refused

    def _model_called(self, event: ev.ModelCalled) -> list[Piece]:
        if event.status < 400:
            return []
        return self._trouble(event, f"The model's provider {event.provider} answered {event.status}")

    def _finished(self, event: ev.AgentFinished) -> list[Piece]:
        return self._note(event, f"Finished: {first_line(event.summary)}")

    def _note(self, event: Event, text: str) -> list[Piece]:
        return [piece(Entry(EntryKind.NOTE, event.at), Role.HEAD, _one_line(text))]

    def _trouble(self, event: Event, text: str) -> list[Piece]:
        return [piece(Entry(EntryKind.TROUBLE, event.at), Role.HEAD, _one_line(text))]


def _quoted(arguments: str) -> str:
    """The words of a search, when there are some."""
    found = re.search(r'"query": ?("(?:[^"\\]|\\.)*")', arguments)
    return f" for {found.group(1)}" if found is not None else ""


def _head_and_rest(command: str, title: str) -> tuple[str, str]:
    """A command's first line and the others; a tool's name and its arguments, which follow it as JSON."""
    if command:
        first, _, rest = command.partition("\n")
        return first, rest
    name, brace, arguments = title.partition(" {")
    return (first_line(name) or "tool call", "{" + arguments) if brace else (first_line(title) or "tool call", "")


def _folding(kind: EntryKind, event: Event, caption: str, text: str) -> list[Piece]:
    """A caption with the first line; the whole of it below, folded."""
    body = printable(text.strip("\n"))
    lines = body.count("\n") + 1
    entry = Entry(kind, event.at, caption, folds=True, folded=True)
    head = piece(entry, Role.HEAD, caption)
    aside = f"{first_line(body, 90)}" + (f"  ({lines} lines)" if lines > 1 else "")
    return [head, piece(entry, Role.ASIDE, aside, fresh=False), piece(entry, Role.BODY, body)]


def _ending(event: ev.ToolEnded, seconds: float) -> str:
    if event.exit_status is not None:
        words = "exit 0" if event.exit_status == 0 else f"exit status {event.exit_status}"
    else:
        words = "done" if event.status == "completed" else "failed"
    dropped = f" · {size(event.dropped)} more were not kept" if event.dropped else ""
    return f"{words} · {precise(seconds)}{dropped}"


def _subject(envelope: Envelope) -> str:
    return envelope.subject or first_line(envelope.body)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
