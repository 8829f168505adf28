"""``send`` and ``reload``: words to an agent, and a changed agents.yaml to a team at work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from app.cli.act import JsonOption, check_at_work, given_text, with_control
from app.cli.listing import wrapped
from app.cli.look import open_board
from app.cli.output import console, emit_json, plain, plain_line, say, width_of
from app.cli.place import ProjectOption, project_place
from app.config import load_project
from app.control import DEFAULT_TIMEOUT, Letter, Outcome
from app.domain.errors import ConfigError
from app.domain.quantities import parse_duration


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(send)
    app.command("reload")(reload_team)


def send(
    recipient: Annotated[str, typer.Argument(metavar="AGENT", help="Who gets it.")],
    body: Annotated[str, typer.Argument(metavar="MESSAGE", help="The message; - reads standard input.")],
    subject: Annotated[str, typer.Option(help="One line.")] = "",
    sync: Annotated[bool, typer.Option("--sync", help="Wait for the reply and print it.")] = False,
    awaits: Annotated[
        Literal["reply", "ack"] | None, typer.Option("--await", help="What to wait for; ack: that it is read.")
    ] = None,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="How long to wait; unread by then it expires.")] = "",
    attach: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="A file to send along.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="The agent must accept or decline.")] = False,
    expires: Annotated[str, typer.Option(metavar="TIME", help="Withdraw it when it is unread after this.")] = "",
    key: Annotated[str, typer.Option(help="The same key is never delivered twice in a run.")] = "",
    reply_to: Annotated[str, typer.Option(metavar="ID", help="It answers this message of the agent.")] = "",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write to an agent as the user. It is woken for it. With --sync, wait for the reply."""
    waits = sync or awaits is not None
    if timeout and not waits:
        raise ConfigError("--timeout goes with --sync", operation="send", hint="or with --expires instead")
    if reply_to and (waits or confirm or attach or expires or subject):
        raise ConfigError("--reply-to goes with --key only", operation="send", hint="leave the others out")
    letter = Letter(
        recipient,
        given_text(body),
        subject,
        kind="confirm" if confirm else "message",
        sync=waits,
        awaits=awaits or "reply",
        timeout=_seconds(timeout, "--timeout") or DEFAULT_TIMEOUT,
        expires=_seconds(expires, "--expires"),
        attachments=tuple(attach or ()),
        key=key,
    )
    loaded, board, _ = open_board(project)
    loaded.fleet.agent(recipient)
    check_at_work(board, recipient)
    fleet = loaded.fleet_id
    if letter.sync:
        _print_outcome(with_control(lambda control: control.ask(fleet, letter)), recipient, as_json)
        return
    message_id = with_control(
        lambda control: control.reply(fleet, reply_to, letter.body, key) if reply_to else control.post(fleet, letter)
    )
    if as_json:
        emit_json({"id": message_id, "state": "delivered"})
    else:
        say(f"{message_id} is in the inbox of {recipient}")


def reload_team(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Read agents.yaml again while the team is at work. With a mistake in it, all stays as it was."""
    loaded = load_project(project_place(project))
    told = with_control(lambda control: control.reload_fleet(loaded))
    changes = {"added": list(told.added), "removed": list(told.removed), "changed": list(told.changed)}
    if as_json:
        emit_json({**changes, "later": list(told.later)})
        return
    for what, agents in changes.items():
        if agents:
            say(f"{what}: {', '.join(agents)}")
    if not any(changes.values()):
        say("agents.yaml is read again: the same agents")
    for agent in told.later:
        say(f"{agent} keeps the virtual machine it has; for one as agents.yaml has it now: skerry reset {agent}")


def _seconds(text: str, option: str) -> float | None:
    if not text:
        return None
    try:
        seconds = parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise ConfigError(f"{option} {text!r}: {error}", operation="send", hint="such as 30s or 10m") from None
    if seconds <= 0:
        raise ConfigError(f"{option} must be more than nothing", operation="send", hint="such as 30s or 10m")
    return seconds


def _print_outcome(outcome: Outcome, recipient: str, as_json: bool) -> None:
    reply = outcome.reply
    if as_json:
        shown = None if reply is None else reply.model_dump(mode="json")
        emit_json({"id": outcome.id, "state": outcome.state.value, "reply": shown})
    elif reply is None:
        say(f"{recipient} has read {outcome.id}")
    else:
        if decision := reply.data.get("decision"):
            say(f"{recipient}: {plain_line(str(decision))}", "bold")
        out = console()
        for line in wrapped(Text(plain(reply.body)), width_of(out)):
            out.print(line)
