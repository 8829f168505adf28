"""One line for each fact that a person follows, as it happens."""

from __future__ import annotations

from functools import singledispatch

from rich.text import Text

from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus, Event
from app.domain.interrupt import Interrupt, InterruptKind
from app.domain.text import first_line, printable

WIDTH = 160
TAIL_LINES = 6

_STATE_STYLE = {
    AgentStatus.RUNNING: "cyan",
    AgentStatus.WAITING: "bold yellow",
    AgentStatus.COMPLETED: "bold green",
    AgentStatus.FAILED: "bold red",
    AgentStatus.STOPPED: "magenta",
}


def story_line(event: Event, width: int = 20) -> Text | None:
    """The line for ``event``, its agent in a column of ``width``; None for a fact that is detail."""
    words = _tell(event)
    if words is None:
        return None
    who = event.agent or "team"
    head = Text.assemble((f"{event.at.astimezone():%H:%M:%S}  ", "dim"), (f"{who:<{width}}  ", "bold"))
    body = Text("\n").join(words.split("\n"))
    if "\n" not in body.plain:
        return head + body
    indent = " " * (12 + width)
    first, *rest = body.split("\n")
    return head + Text("\n").join([first, *(Text(indent) + line for line in rest)])


@singledispatch
def _tell(event: ev.Fact) -> Text | None:
    return None


@_tell.register
def _run_started(event: ev.RunStarted) -> Text:
    names = ", ".join(agent.id for agent in event.agents)
    how = f", rehearsing {event.rehearsal}" if event.rehearsal else ""
    return Text(f"{event.project} starts{how}: {names}", "bold")


@_tell.register
def _run_ended(event: ev.RunEnded) -> Text:
    return Text(f"the run is {event.outcome}", "bold")


@_tell.register
def _moved(event: ev.AgentMoved) -> Text:
    return Text(f"{event.state.value}: {printable(event.reason)}", _STATE_STYLE.get(event.state, "dim"))


@_tell.register
def _sandbox(event: ev.SandboxChanged) -> Text | None:
    if event.state == "starting":
        return None
    took = f" after {event.seconds:.1f} s" if event.seconds else ""
    return Text(f"machine {event.state}{took}: {printable(event.note)}", "dim")


@_tell.register
def _turn_resumed(event: ev.TurnResumed) -> Text:
    return Text(f"turn {event.turn} goes on after an interruption", "yellow")


@_tell.register
def _said(event: ev.AgentSaid) -> Text:
    style = "dim italic" if event.thought else "italic"
    return Text(f"“{first_line(event.text, WIDTH)}”", style)


@_tell.register
def _tool_started(event: ev.ToolStarted) -> Text | None:
    return Text(f"$ {first_line(event.command, WIDTH)}", "bold") if event.command else None


@_tell.register
def _tool_ended(event: ev.ToolEnded) -> Text | None:
    if not event.command:
        return None
    failed = event.status == "failed" or event.exit_status not in (0, None)
    lines = event.output.rstrip().splitlines()[-TAIL_LINES:]
    shown = [line[:WIDTH] for line in lines]
    status = "" if event.exit_status is None else f" (exit status {event.exit_status})"
    closing = f"{'failed' if failed else 'done'}{status}"
    return Text("\n".join([*shown, closing]), "red" if failed else "dim")


@_tell.register
def _accepted(event: ev.MessageAccepted) -> Text:
    envelope = event.envelope
    what = first_line(envelope.subject or envelope.body, WIDTH)
    note = "" if event.state is MessageState.ACCEPTED else f" [{event.state.value}: {printable(event.reason)}]"
    return Text(f"→ {envelope.recipient}: {what}  ({envelope.id}){note}", "blue")


@_tell.register
def _message_moved(event: ev.MessageMoved) -> Text:
    reason = f": {printable(event.reason)}" if event.reason else ""
    return Text(f"{event.message_id} {event.state.value}{reason}", "dim blue")


@_tell.register
def _raised(event: ev.InterruptRaised) -> Text:
    return question_text(event.interrupt)


@_tell.register
def _settled(event: ev.InterruptSettled) -> Text:
    answer = event.answer
    words = event.state.value if answer is None else first_line(answer.option or answer.text or answer.action, WIDTH)
    by = "" if answer is None else f" (by {answer.by})"
    return Text(f"! {event.interrupt_id}: {words}{by}", "yellow")


@_tell.register
def _memory(event: ev.MemoryWritten) -> Text:
    return Text(f"notes under {event.heading!r}: {first_line(event.text, WIDTH)}", "green")


@_tell.register
def _mirrored(event: ev.WorkspaceMirrored) -> Text | None:
    if not (event.files or event.removed or event.refused):
        return None
    refused = f", {len(event.refused)} refused" if event.refused else ""
    return Text(f"workspace: {event.files} changed, {event.removed} removed{refused}", "dim")


@_tell.register
def _finished(event: ev.AgentFinished) -> Text:
    return Text(f"finished: {first_line(event.summary, WIDTH)}", "green")


def question_text(interrupt: Interrupt) -> Text:
    """An interrupt with its choices."""
    sign = "…" if interrupt.kind is InterruptKind.PROGRESS_REPORT else "?"
    text = Text(f"{sign} {printable(interrupt.title)}  ({interrupt.id}, {interrupt.kind.value})", "bold yellow")
    for number, option in enumerate(interrupt.options, start=1):
        mark = "  (default)" if option == interrupt.default else ""
        text.append(f"\n   {number}. {printable(option)}{mark}", "yellow")
    return text
