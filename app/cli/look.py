"""Commands that only look: ``status``, ``messages``, ``interrupts``. They need no engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from app.cli.budget import used_for_programs, used_line
from app.cli.listing import Column, Row, listing, wrapped
from app.cli.output import clock, console, emit_json, plain, plain_line, say, width_of
from app.cli.place import ProjectOption, naming, project_place
from app.cli.story import machine_note, reconciled_words, state_style
from app.config import Paths, Project, load_project
from app.control import engine_info, read_board, shown_to_user
from app.domain.blanket import in_time
from app.domain.board import AgentView, Board, MessageView
from app.domain.envelope import USER, MessageState
from app.domain.errors import NotFound
from app.domain.events import ENDED, AgentStatus, HostReconciled
from app.domain.interrupt import InterruptKind
from app.sandbox.usage import folder_bytes
from app.store.journal import JournalReader
from app.store.usage import UsageSample, read_usage

JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]
RunOption = Annotated[str, typer.Option("--run", metavar="RUN", help="That run instead of the newest.")]

_AGENT = tuple(Column(title, optional) for title, optional in (("AGENT", False), ("STATE", False), ("SINCE", True)))
_FIGURES = ("CPU", "MEM", "DISK", "TURNS", "UNREAD", "COMMANDS", "TOKENS")
_COUNTS = tuple(Column(title, optional=True, figures=True) for title in _FIGURES)
_MESSAGE = tuple(Column(title, title == "SENT") for title in ("ID", "SENT", "FROM", "TO", "STATE"))
_MESSAGE_STYLE = {
    MessageState.HELD: "bold yellow",
    MessageState.ACCEPTED: "cyan",
    MessageState.DELIVERED: "cyan",
    MessageState.REFUSED: "red",
    MessageState.EXPIRED: "red",
    MessageState.READ: "green",
    MessageState.ANSWERED: "green",
}
_THOUSAND = 1000
_DOWN = ("", "stopped", "suspended", "destroyed")
"""A machine that takes no processor and no memory; what was measured before says nothing of it."""


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(status)
    app.command()(messages)


def status(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show what every agent of the newest run does, and why."""
    loaded, board, paths = open_board(project)
    info, usage, host = engine_info(paths), _usage(board, paths), _reconciled(paths)
    if as_json:
        agents = [_agent(view, usage.get(view.id)) for view in board.agents.values()]
        engine = None if info is None else asdict(info)
        summary: dict[str, object] = {
            "project": loaded.name,
            "fleet": board.fleet,
            "run": board.run,
            "outcome": board.outcome,
        }
        approving = {"approving_until": {name: until.isoformat() for name, until in _blankets(board).items()}}
        emit_json(
            {
                **summary,
                "rehearsal": board.rehearsal,
                "engine": engine,
                "agents": agents,
                "host": _host(host),
                "approving_until": approving,
            }
        )
        return
    if not board.run:
        say(f"{loaded.name} has not run yet; start it with: skerry run")
        return
    rehearsal = f" (rehearsing {board.rehearsal})" if board.rehearsal else ""
    at_work = "at work" if info else "interrupted: goes on with the next 'skerry run'"
    say(f"{loaded.name}, run {board.run}{rehearsal}: {board.outcome or at_work}", "bold")
    say("no engine runs" if info is None else f"engine {info.pid}, Temporal's window: {info.temporal_ui}", "dim")
    out = console()
    rows = [_status_row(view, board.fleet, usage.get(view.id)) for view in board.agents.values()]
    out.print()
    for line in listing((*_AGENT, *_COUNTS), rows, width=width_of(out), title="REASON", below=True):
        out.print(line)
    if host is not None and host.removed:
        out.print()
        for line in wrapped(Text(reconciled_words(host), "dim"), width_of(out)):
            out.print(line)
    for told in blanket_lines(board):
        say(told, "bold yellow")
    if waiting := [item for item in board.open_interrupts if item.kind is not InterruptKind.PROGRESS_REPORT]:
        out.print()
        say(f"{_count(len(waiting), 'question')} for you: skerry interrupts{naming(loaded)}", "bold yellow")


def blanket_lines(board: Board) -> list[str]:
    """What is approved without asking, and how that is ended."""
    lines = []
    for name, until in _blankets(board).items():
        whose, end = name or "the team", f"skerry approve {name or '--team'} --end"
        lines.append(f"every approval of {whose} is given until {clock(until)}; to end it: {end}")
    return lines


def _blankets(board: Board) -> dict[str, datetime]:
    return {} if board.outcome else in_time(board.blankets, datetime.now(UTC))


def messages(
    message: Annotated[str, typer.Argument(metavar="ID", help="Show this message whole.")] = "",
    project: ProjectOption = None,
    agent: Annotated[str, typer.Option(help="Only messages from or to this agent.")] = "",
    state: Annotated[MessageState | None, typer.Option(help="Only messages in this state.")] = None,
    thread: Annotated[str, typer.Option(metavar="ID", help="The whole conversation this message is of.")] = "",
    whole: Annotated[str, typer.Option("--id", metavar="ID", help="The same as ID alone.")] = "",
    run: RunOption = "",
    as_json: JsonOption = False,
) -> None:
    """List the messages of the newest run, with what became of each; or show one, or a conversation.

    Messages to you count as read once they are shown whole.
    """
    loaded, board, paths = open_board(project, run)
    if agent and agent != USER:
        loaded.fleet.agent(agent)
    found = [view for view in board.messages.values() if not agent or agent in _ends(view)]
    found = [view for view in found if state in (None, view.state)]
    if one := message or whole:
        found = [board.messages[find_id(one, board.messages, "message")]]
    elif thread:
        of = board.messages[find_id(thread, board.messages, "message")]
        found = [view for view in board.messages.values() if _thread(view) == _thread(of)]
    if as_json:
        emit_json({"run": board.run, "messages": [_message(view) for view in found]})
    elif one or thread:
        _show_messages(found)
    elif found:
        out = console()
        for line in listing(_MESSAGE, [_message_row(view) for view in found], width=width_of(out), title="SUBJECT"):
            out.print(line)
    else:
        say(f"{agent} has no messages." if agent else "There are no messages.")
    if one or thread:
        shown_to_user(paths, [view.envelope.id for view in found if view.envelope.recipient == USER])


def _thread(view: MessageView) -> str:
    return view.envelope.correlation_id or view.envelope.id


def _show_messages(found: Iterable[MessageView]) -> None:
    for number, view in enumerate(found):
        if number:
            console().print()
        _show_message(view)


def open_board(place: Path | None, run: str = "") -> tuple[Project, Board, Paths]:
    """The project at ``place`` and the board of its newest run, or of ``run``; NotFound for one it never had."""
    project, paths = load_project(project_place(place)), Paths.from_environment()
    board = read_board(paths, project.fleet_id, run)
    if board.run != run and run:
        hint = "'skerry search' names the runs"
        raise NotFound(f"there was no run {plain_line(run)!r} of this project", operation="find", hint=hint)
    return project, board, paths


def find_id(beginning: str, ids: Iterable[str], what: str) -> str:
    """The one id that is ``beginning`` or begins with it. Raises NotFound, naming the nearest."""
    known = list(ids)
    found = [item for item in known if item == beginning] or [item for item in known if item.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{beginning!r} is not unique", operation="find", hint="it may be: " + ", ".join(found[:8]))
    near = get_close_matches(beginning, known, n=1, cutoff=0.6)
    some = f"see 'skerry {what}s'" if known else f"the newest run has no {what}s"
    hint = f"did you mean {near[0]}?" if near else some
    raise NotFound(f"there is no {what} {plain_line(beginning)!r} in the newest run", operation="find", hint=hint)


def _usage(board: Board, paths: Paths) -> dict[str, UsageSample]:
    prefix = f"{board.fleet}."
    found = read_usage(paths.journal_db)
    up = {f"{prefix}{view.id}": view.id for view in board.agents.values() if view.sandbox not in _DOWN}
    at_rest = {view.id: _at_rest(paths.machines / f"{prefix}{view.id}") for view in board.agents.values()}
    figures = {agent: sample for agent, sample in at_rest.items() if sample is not None}
    return figures | {up[name]: sample for name, sample in found.items() if name in up}


def _at_rest(machine: Path) -> UsageSample | None:
    """Of a machine that nobody measures as it does not run: its disk is still there."""
    return UsageSample(machine.name, datetime.now(UTC), None, 0, folder_bytes(machine)) if machine.is_dir() else None


def _reconciled(paths: Paths) -> HostReconciled | None:
    reader = JournalReader(paths.journal_db)
    try:
        found = reader.last("host_reconciled")
    finally:
        reader.close()
    return found if isinstance(found, HostReconciled) else None


def _host(found: HostReconciled | None) -> dict[str, Any] | None:
    if found is None:
        return None
    removed = [{"what": what, "name": name, "why": why} for what, name, why in found.removed]
    return {"compared_at": found.at.isoformat(), "removed": removed, "lost": list(found.lost)}


def _agent(view: AgentView, usage: UsageSample | None) -> dict[str, Any]:
    since = None if view.since is None else view.since.isoformat()
    figures = {
        "cpu_percent": None if usage is None else usage.cpu_percent,
        "memory_bytes": None if usage is None else usage.memory_bytes,
        "disk_bytes": None if usage is None else usage.disk_bytes,
    }
    known = {name: value for name, value in asdict(view).items() if name not in ("account", "budget")}
    named = {"state": view.state.value, "since": since, "needs_user": view.needs_user}
    return {**known, **named, **figures, **used_for_programs(view, datetime.now(UTC))}


def _status_row(view: AgentView, fleet: str, usage: UsageSample | None) -> Row:
    tokens = view.input_tokens + view.output_tokens
    state = Text(view.state.value, state_style(view.state))
    since = "" if view.since is None else clock(view.since)
    counts = (str(view.turn), str(view.unread), str(view.commands), _rounded(tokens))
    details = []
    if view.state is AgentStatus.STARTING and view.sandbox_note:
        details.append(Text(f"machine: {machine_note(view.sandbox_note, fleet, view.id)}", "dim"))
    if view.sandbox == "lost":
        details.append(Text(f"machine lost: {machine_note(view.sandbox_note, fleet, view.id)}", "yellow"))
    if used := used_line(view, datetime.now(UTC)):
        details.append(used)
    if view.limit:
        times = f" ({view.limits_reached} times)" if view.limits_reached > 1 else ""
        details.append(Text(f"limit: {plain_line(view.limit)}{times}", "yellow"))
    if view.last_refusal:
        times = f" ({view.tools_refused} times)" if view.tools_refused > 1 else ""
        details.append(Text(f"refused: {plain_line(view.last_refusal)}{times}", "yellow"))
    if view.last_action and view.state not in ENDED:
        details.append(Text(f"last: {plain_line(view.last_action)}", "dim"))
    cells = (Text(view.id, "bold"), state, since, *_figures(usage), *counts)
    return Row(cells, Text(plain_line(view.reason, 400)), details)


def _figures(usage: UsageSample | None) -> tuple[str, str, str]:
    if usage is None:
        return "-", "-", "-"
    percent = "-" if usage.cpu_percent is None else f"{usage.cpu_percent:.0f}%"
    memory = _amount(usage.memory_bytes) if usage.memory_bytes else "-"
    return percent, memory, _amount(usage.disk_bytes)


def _amount(size: int) -> str:
    """Bytes in four characters: 0M, 64M, 1.5G, 120G."""
    mebibytes = size / 2**20
    if mebibytes < _THOUSAND:
        return f"{mebibytes:.0f}M"
    return f"{mebibytes / 1024:.1f}G" if mebibytes < 10 * 1024 else f"{mebibytes / 1024:.0f}G"


def _rounded(number: int) -> str:
    return str(number) if number < 10 * _THOUSAND else f"{number // _THOUSAND}k"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _ends(view: MessageView) -> tuple[str, str]:
    return view.envelope.sender, view.envelope.recipient


def _message(view: MessageView) -> dict[str, Any]:
    history = [{"state": state.value, "at": at.isoformat(), "reason": why} for state, at, why in view.history]
    values = view.envelope.model_dump(mode="json")
    return {**values, "state": view.state.value, "reason": view.reason, "history": history}


def _message_row(view: MessageView) -> Row:
    envelope = view.envelope
    words = Text(plain_line(envelope.subject or envelope.body))
    if view.reason and view.state in (MessageState.REFUSED, MessageState.HELD, MessageState.EXPIRED):
        words.append(f"  ({plain_line(view.reason)})", "dim")
    state = Text(view.state.value, _MESSAGE_STYLE.get(view.state, ""))
    recipient = plain_line(envelope.recipient, 40)
    return Row((envelope.id, clock(envelope.sent_at), envelope.sender, recipient, state), words)


def _show_message(view: MessageView) -> None:
    envelope, out = view.envelope, console()
    out.print(Text(f"{envelope.sender} → {plain_line(envelope.recipient, 40)}  ({envelope.id})", "bold"))
    if envelope.subject:
        out.print(Text(plain_line(envelope.subject, 400), "bold"))
    if envelope.reply_to:
        out.print(Text(f"in reply to {envelope.reply_to}", "dim"))
    for item in envelope.attachments:
        out.print(Text(f"attached: {plain_line(item.name)} ({item.size} bytes)", "dim"))
    for state, at, why in view.history:
        reason = f": {plain_line(why)}" if why else ""
        out.print(Text(f"{clock(at)}  {state.value}{reason}", "dim"))
    out.print()
    for line in wrapped(Text(plain(envelope.body)), width_of(out)):
        out.print(line)
