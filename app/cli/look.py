"""Commands that only look: ``status``, ``messages``, ``interrupts``, ``console``. They need no engine."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from app.cli.output import console, emit_json, emit_json_line, say, table
from app.cli.place import ProjectOption, project_place
from app.cli.story import question_text, story_line
from app.config import Paths, Project, load_project
from app.control import engine_info, read_board
from app.domain.board import AgentView, Board, MessageView
from app.domain.envelope import MessageState
from app.domain.events import Event
from app.domain.interrupt import InterruptState
from app.domain.text import first_line
from app.store.journal import JournalReader

JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on as facts come in.")]

POLL_SECONDS = 0.2


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(status)
    app.command()(messages)
    app.command()(interrupts)
    app.command("console")(show_console)


def status(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show what every agent of the newest run does, and why."""
    loaded, board, paths = _open(project)
    info = engine_info(paths)
    if as_json:
        agents = [_agent(view) for view in board.agents.values()]
        engine = None if info is None else asdict(info)
        summary = {"project": loaded.name, "fleet": board.fleet, "run": board.run, "outcome": board.outcome}
        emit_json({**summary, "engine": engine, "agents": agents})
        return
    if not board.run:
        say(f"{loaded.name} has not run yet; start it with: skerry run")
        return
    outcome = f": {board.outcome}" if board.outcome else ""
    engine_words = "no engine runs" if info is None else f"engine {info.pid}, Temporal's window at {info.temporal_ui}"
    say(f"{loaded.name}, run {board.run}{outcome}; {engine_words}")
    columns = ("agent", "state", "reason", "turns", "unread", "model calls", "tokens", "commands", "last action")
    table(columns, [_status_row(view) for view in board.agents.values()])
    if board.open_interrupts:
        say(f"{len(board.open_interrupts)} open: see 'skerry interrupts'", "bold yellow")


def messages(
    project: ProjectOption = None,
    agent: Annotated[str, typer.Option(help="Only messages from or to this agent.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the messages of the newest run, with what became of each."""
    _, board, _ = _open(project)
    found = [
        view
        for view in board.messages.values()
        if not agent or agent in (view.envelope.sender, view.envelope.recipient)
    ]
    if as_json:
        emit_json({"run": board.run, "messages": [_message(view) for view in found]})
        return
    if not found:
        say("No messages.")
    table(("id", "sent", "from", "to", "state", "subject"), [_message_row(view) for view in found])


def interrupts(
    project: ProjectOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Answered ones too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what the agents need you for."""
    _, board, _ = _open(project)
    found = list(board.interrupts.values()) if everything else board.open_interrupts
    if as_json:
        emit_json({"run": board.run, "interrupts": [item.model_dump(mode="json") for item in found]})
        return
    if not found:
        say("Nobody needs you.")
    out = console()
    for item in found:
        out.print(Text(f"{item.agent}  {item.raised_at.astimezone():%H:%M:%S}", "bold"), question_text(item))
        if item.body:
            say(f"   {item.body}")
        if item.state is not InterruptState.OPEN:
            say(f"   {item.state.value}: {_answer_words(item.answer)}", "dim")
        else:
            say(f"   answer with: skerry answer {item.id} …", "dim")


def show_console(
    agent: Annotated[str, typer.Argument(help="The agent.")],
    project: ProjectOption = None,
    follow: FollowOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show what an agent said and did in the newest run."""
    loaded, board, paths = _open(project)
    loaded.fleet.agent(agent)
    reader, after, out = JournalReader(paths.journal_db), 0, console()
    try:
        while True:
            for number, event in reader.read(after, limit=10_000):
                after = number
                if event.fleet == board.fleet and event.run == board.run and event.agent == agent:
                    _print_fact(event, as_json, out.print)
            if not follow:
                if not reader.read(after, limit=1):
                    return
            elif not reader.changed():
                time.sleep(POLL_SECONDS)
    finally:
        reader.close()


def _print_fact(event: Event, as_json: bool, show: Any) -> None:
    if as_json:
        emit_json_line(event.model_dump(mode="json"))
        return
    line = story_line(event, len(event.agent))
    if line is not None:
        show(line)


def _open(place: Path | None) -> tuple[Project, Board, Paths]:
    project, paths = load_project(project_place(place)), Paths.from_environment()
    return project, read_board(paths, project.fleet_id), paths


def _agent(view: AgentView) -> dict[str, Any]:
    values = asdict(view)
    values["state"] = view.state.value
    values["needs_user"] = view.needs_user
    return values


def _status_row(view: AgentView) -> dict[str, Any]:
    return {
        "agent": view.id,
        "state": view.state.value,
        "reason": first_line(view.reason, 60),
        "turns": view.turn,
        "unread": view.unread,
        "model calls": view.model_calls,
        "tokens": view.input_tokens + view.output_tokens,
        "commands": view.commands,
        "last action": first_line(view.last_action, 50),
    }


def _message(view: MessageView) -> dict[str, Any]:
    history = [{"state": state.value, "at": at.isoformat(), "reason": why} for state, at, why in view.history]
    values = view.envelope.model_dump(mode="json")
    return {**values, "state": view.state.value, "reason": view.reason, "history": history}


def _message_row(view: MessageView) -> dict[str, Any]:
    envelope = view.envelope
    reason = f" ({first_line(view.reason, 60)})" if view.state in (MessageState.REFUSED, MessageState.HELD) else ""
    return {
        "id": envelope.id,
        "sent": f"{envelope.sent_at.astimezone():%H:%M:%S}",
        "from": envelope.sender,
        "to": envelope.recipient,
        "state": view.state.value + reason,
        "subject": first_line(envelope.subject or envelope.body, 60),
    }


def _answer_words(answer: Any) -> str:
    return "" if answer is None else first_line(answer.option or answer.text or answer.action)
