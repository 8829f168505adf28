"""What happened, in lines for a person: one or a few for each fact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from rich.text import Text

from app.cli.listing import wrapped
from app.cli.output import clock, plain, plain_line
from app.domain import events as ev
from app.domain.budget import show
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus, Event
from app.domain.interrupt import Answer, Interrupt, InterruptKind

_STATE_STYLE = {
    AgentStatus.STARTING: "cyan",
    AgentStatus.RUNNING: "cyan",
    AgentStatus.WAITING: "bold yellow",
    AgentStatus.PAUSED: "magenta",
    AgentStatus.COMPLETED: "bold green",
    AgentStatus.FAILED: "bold red",
    AgentStatus.STOPPED: "magenta",
}
_OWN_TOOLS = "skerry: "


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is told: the first lines of words, commands and prompts, the last lines of output; 0 is all of them."""

    words: int
    command: int
    output: int
    prompt: int


BRIEF = Depth(words=1, command=1, output=6, prompt=-1)
"""For a whole team, as it happens; prompts are left out."""
NORMAL = Depth(words=20, command=12, output=20, prompt=12)
"""For one agent."""
WHOLE = Depth(words=0, command=0, output=0, prompt=0)


def state_style(state: AgentStatus) -> str:
    """The colour of a state."""
    return _STATE_STYLE.get(state, "")


def story_lines(event: Event, depth: Depth = BRIEF, *, who: int = 0, width: int | None = None) -> list[Text]:
    """The lines for ``event``; none for a fact that is detail.

    ``who`` is the width of the column with the agent's name, 0 leaves it out; ``width`` is the terminal's, None when
    lines may have any length.
    """
    words = _tell(event, depth)
    if words is None:
        return []
    name = f"{event.agent or 'team':<{who}}  " if who else ""
    head = Text.assemble((f"{event.at.astimezone():%H:%M:%S}  ", "dim"), (name, "bold"))
    indent = len(head)
    first, *rest = wrapped(words, None if width is None else width - indent)
    return [head + first, *(Text(" " * indent) + line if line.plain else line for line in rest)]


def reconciled_words(event: ev.HostReconciled) -> str:
    """What an engine took away at its start, and why."""
    items = "; ".join(f"{what} {plain_line(name)} ({plain_line(why)})" for what, name, why in event.removed)
    return f"left over and removed when the engine started: {items}"


def machine_note(note: str, fleet: str, agent: str) -> str:
    """What is told of a machine, without its name: the reader knows whose it is."""
    return plain_line(note.removeprefix(f"{fleet}.{agent}: "))


def some_lines(text: str, most: int, *, last: bool = False) -> list[str]:
    """At most ``most`` lines of ``text``, harmless, the first or the last ones, saying how many are left out."""
    lines = plain(text).strip("\n").rstrip().split("\n")
    left = len(lines) - most
    if most <= 0 or left <= 1:  # one line is not worth a line that says so
        return lines
    note = f"… {left} more lines"
    return [note, *lines[-most:]] if last else [*lines[:most], note]


@singledispatch
def _tell(event: ev.Fact, depth: Depth) -> Text | None:
    return None


@_tell.register
def _run_started(event: ev.RunStarted, depth: Depth) -> Text:
    names = ", ".join(agent.id for agent in event.agents)
    how = f", rehearsing {plain_line(event.rehearsal)}" if event.rehearsal else ""
    return Text(f"{plain_line(event.project)} starts{how}: {names}", "bold")


@_tell.register
def _run_ended(event: ev.RunEnded, depth: Depth) -> Text:
    style = {"completed": "bold green", "failed": "bold red"}.get(event.outcome, "bold")
    return Text(f"the run has {'been stopped' if event.outcome == 'stopped' else event.outcome}", style)


@_tell.register
def _moved(event: ev.AgentMoved, depth: Depth) -> Text:
    return Text(f"{event.state.value}: {plain_line(event.reason, 400)}", _STATE_STYLE.get(event.state, "dim"))


@_tell.register
def _sandbox(event: ev.SandboxChanged, depth: Depth) -> Text | None:
    note = machine_note(event.note, event.fleet, event.agent)
    if event.state == "starting":
        return Text(f"machine: {note}", "dim") if note else None
    took = f" after {event.seconds:.1f} s" if event.seconds else ""
    style = "yellow" if event.state == "lost" else "dim"
    return Text(f"machine {event.state}{took}" + (f": {note}" if note else ""), style)


@_tell.register
def _limit(event: ev.LimitReached, depth: Depth) -> Text:
    times = f" ({event.count} times)" if event.count > 1 else ""
    return Text(f"limit reached, {event.limit.replace('_', ' ')}: {plain_line(event.detail)}{times}", "yellow")


@_tell.register
def _budget(event: ev.BudgetRaised, depth: Depth) -> Text:
    if event.turn:
        return Text(f"may go beyond its limit of {event.limit} in turn {event.turn}", "green")
    return Text(f"may use more: {show(event.limit, event.amount)}", "green")


@_tell.register
def _model_trouble(event: ev.ModelTrouble, depth: Depth) -> Text:
    if not event.cause:
        return Text("its model may be asked again", "green")
    what = "usage limit of the model provider" if event.cause == "usage_limit" else "the model provider is down"
    until = "" if event.until is None else f" until {clock(event.until)}"
    return Text(f"{what}{until}{f': {plain_line(event.detail)}' if event.detail else ''}", "yellow")


@_tell.register
def _reconciled(event: ev.HostReconciled, depth: Depth) -> Text | None:
    return Text(reconciled_words(event), "dim") if event.removed else None


@_tell.register
def _turn_started(event: ev.TurnStarted, depth: Depth) -> Text | None:
    if depth.prompt < 0:
        return None
    text = Text(f"turn {event.turn}, prompt:", "bold cyan")
    for line in some_lines(event.prompt, depth.prompt):
        text.append(f"\n│ {line}".rstrip(), "cyan")
    return text


@_tell.register
def _turn_resumed(event: ev.TurnResumed, depth: Depth) -> Text:
    return Text(f"turn {event.turn} goes on after {'a limit' if event.again else 'an interruption'}", "yellow")


@_tell.register
def _turn_ended(event: ev.TurnEnded, depth: Depth) -> Text | None:
    if depth.prompt < 0:
        return None
    why = "" if event.stop_reason == "end_turn" else f" ({plain_line(event.stop_reason)})"
    tokens = event.input_tokens + event.output_tokens
    return Text(f"turn {event.turn} ended{why} after {event.seconds:.0f} s, {tokens:,} tokens", "dim")


@_tell.register
def _said(event: ev.AgentSaid, depth: Depth) -> Text | None:
    style = "dim italic" if event.thought else "italic"
    if not event.text.strip():
        return None
    words = plain_line(event.text) if depth.words == 1 else "\n".join(some_lines(event.text, depth.words))
    return Text(f"“{words}”", style)


@_tell.register
def _tool_started(event: ev.ToolStarted, depth: Depth) -> Text | None:
    if event.command:
        return Text("$ " + "\n  ".join(_command_lines(event.command, depth.command)), "bold")
    if event.title.startswith(_OWN_TOOLS) or not event.title.strip():
        return None  # what they did is a fact of its own
    return Text(f"• {plain_line(event.title)}", "bold")


@_tell.register
def _tool_ended(event: ev.ToolEnded, depth: Depth) -> Text | None:
    failed = event.status == "failed" or event.exit_status not in (0, None)
    if not event.command and (event.title.startswith(_OWN_TOOLS) or not failed):
        return None
    lines = some_lines(event.output, depth.output, last=True) if event.output.strip() else []
    if event.dropped:
        lines.append(f"… {event.dropped} bytes more were not kept")
    status = "" if event.exit_status is None else f", exit status {event.exit_status}"
    closing = Text(f"{'failed' if failed else 'done'}{status}", "red" if failed else "dim green")
    return Text("\n", "dim").join([Text(line, "dim") for line in lines] + [closing])


@_tell.register
def _accepted(event: ev.MessageAccepted, depth: Depth) -> Text:
    envelope = event.envelope
    what = plain_line(envelope.subject or envelope.body)
    text = Text(f"→ {plain_line(envelope.recipient, 40)}: {what}  ({envelope.id})", "blue")
    if event.state is not MessageState.ACCEPTED:
        text.append(f" {event.state.value}: {plain_line(event.reason)}", "yellow")
    return text


@_tell.register
def _message_moved(event: ev.MessageMoved, depth: Depth) -> Text | None:
    if depth.prompt >= 0 and event.state in (MessageState.DELIVERED, MessageState.READ):
        return None  # the prompt shows it
    reason = f": {plain_line(event.reason)}" if event.reason else ""
    return Text(f"{event.message_id} {event.state.value}{reason}", "dim blue")


@_tell.register
def _raised(event: ev.InterruptRaised, depth: Depth) -> Text:
    return question_text(event.interrupt)


@_tell.register
def _settled(event: ev.InterruptSettled, depth: Depth) -> Text:
    words = event.state.value if event.answer is None else answer_words(event.answer)
    return Text(f"! {event.interrupt_id}: {words}", "yellow")


@_tell.register
def _turn_cancelled(event: ev.TurnCancelled, depth: Depth) -> Text:
    return Text(f"turn {event.turn} is cancelled by {plain_line(event.by, 40)}", "yellow")


@_tell.register
def _instructed(event: ev.InstructionsChanged, depth: Depth) -> Text:
    what = "the task is cancelled" if event.cancel else f"new instructions ({event.mode}): {plain_line(event.text)}"
    return Text(f"! {what} (by {plain_line(event.by, 40)})", "yellow")


@_tell.register
def _approvals_opened(event: ev.ApprovalsOpened, depth: Depth) -> Text:
    return Text(f"every approval is given until {clock(event.until)}", "bold yellow")


@_tell.register
def _approvals_closed(event: ev.ApprovalsClosed, depth: Depth) -> Text:
    return Text("approvals wait for the user again", "yellow")


@_tell.register
def _memory(event: ev.MemoryWritten, depth: Depth) -> Text:
    words = plain_line(event.text) if depth.words == 1 else "\n".join(some_lines(event.text, depth.words))
    return Text(f"notes under “{plain_line(event.heading)}”: {words}", "green")


@_tell.register
def _mirrored(event: ev.WorkspaceMirrored, depth: Depth) -> Text | None:
    parts = [(event.files, "changed"), (event.removed, "removed"), (len(event.refused), "refused")]
    words = ", ".join(f"{number} {what}" for number, what in parts if number)
    if not words:
        return None
    shown = event.refused[:1] if depth.words == 1 else event.refused[: depth.words or None]
    reasons = "".join(f"\n  {plain_line(name, 80)}: {plain_line(why)}" for name, why in shown)
    return Text(f"workspace: {words}{reasons}", "dim")


@_tell.register
def _finished(event: ev.AgentFinished, depth: Depth) -> Text:
    return Text(f"finished: {plain_line(event.summary, 400)}", "green")


@_tell.register
def _reloaded(event: ev.FleetReloaded, depth: Depth) -> Text:
    parts = [("added", event.added), ("removed", event.removed), ("changed", event.changed)]
    words = "; ".join(f"{what} {plain_line(', '.join(names))}" for what, names in parts if names)
    return Text(f"agents.yaml read again: {words or 'nothing changed'}", "bold")


@_tell.register
def _channel(event: ev.ChannelOpened, depth: Depth) -> Text:
    return Text(f"may write to {plain_line(event.recipient, 40)} from now on", "green")


@_tell.register
def _reseeded(event: ev.RunReseeded, depth: Depth) -> Text:
    return Text(f"the run was started again from the journal: {plain_line(event.why)}", "yellow")


@_tell.register
def _permission(event: ev.PermissionDecided, depth: Depth) -> Text | None:
    what = plain_line(event.command, 200)
    if event.verdict == "deny":
        return Text(f"not run: {what}: {plain_line(event.why, 200)} ({plain_line(event.rule)})", "yellow")
    return Text(f"allowed by {plain_line(event.by, 40)}: {what}", "dim") if event.interrupt else None


@_tell.register
def _rules_reread(event: ev.RulesReread, depth: Depth) -> Text:
    if event.problem:
        words = f"{plain_line(event.file)} has mistakes, the last good rules stay in force: {plain(event.problem)}"
        return Text(words, "bold yellow")
    return Text(f"{plain_line(event.file)} was read again", "dim")


@_tell.register
def _tool_refused(event: ev.ToolRefused, depth: Depth) -> Text:
    return Text(f"{plain_line(event.tool, 60)} refused: {plain_line(event.reason, 400)}", "dim yellow")


def question_text(interrupt: Interrupt) -> Text:
    """An interrupt with its choices."""
    sign = "…" if interrupt.kind is InterruptKind.PROGRESS_REPORT else "?"
    text = Text(f"{sign} {plain_line(interrupt.title, 400)}  ({interrupt.id})", "bold yellow")
    for number, option in enumerate(interrupt.options, start=1):
        mark = "  (default)" if option == interrupt.default else ""
        text.append(f"\n  {number}. {plain_line(option, 400)}{mark}", "yellow")
    return text


def how_to_answer(interrupt: Interrupt, where: str) -> str:
    """The command that answers; ``where`` names the project when it must be named."""
    if interrupt.kind is InterruptKind.PROGRESS_REPORT:
        return f"no answer is needed; put it away: skerry answer {interrupt.id} seen{where}"
    example = "1" if interrupt.options else '"your answer"'
    return f"answer: skerry answer {interrupt.id} {example}{where}"


def answer_words(answer: Answer) -> str:
    """An answer in a line: what, and who gave it."""
    what = plain_line(answer.option or answer.text)
    if answer.action == "cancel":
        what = "cancelled"
    elif answer.action == "modify":
        what = f"new instructions: {what}"
    return f"{what} (by {answer.by})"


def _command_lines(command: str, most: int) -> list[str]:
    lines = some_lines(command, most)
    if most == 1 and len(lines) > 1:
        return [f"{plain_line(lines[0])} … (+{len(plain(command).strip().splitlines()) - 1} lines)"]
    return lines
