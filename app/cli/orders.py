"""Commands that order agents about: ``cancel``, ``instruct``, ``approve``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from app.cli.act import JsonOption, check_at_work, given_text, with_control
from app.cli.life import AgentArgument, OneAgent, TeamOption, check_one, chosen, each
from app.cli.listing import wrapped
from app.cli.look import open_board
from app.cli.output import clock, console, emit_json, plain, plain_line, say, width_of
from app.cli.place import ProjectOption
from app.domain.board import Board
from app.domain.errors import ConfigError
from app.domain.events import AgentStatus, InstructionsChanged
from app.domain.instructions import check_instructions, in_force
from app.domain.quantities import parse_duration


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for command in (cancel, instruct, approve):
        app.command()(command)


def cancel(
    agent: OneAgent = "",
    team: TeamOption = False,
    task: Annotated[bool, typer.Option("--task", help="What the agent is doing, too: it drops it and waits.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the turn of an agent now; it then waits for messages. Machine, memory and conversation stay.

    With --task its open questions are withdrawn as well, and it is told to drop what it was doing.
    """
    loaded, board, _ = open_board(project)
    check_one(loaded, agent, team, "cancel")
    at_turn = (AgentStatus.RUNNING, AgentStatus.WAITING)
    views = chosen(board, agent, lambda view: task or view.state in at_turn, "in a turn")
    if task:
        words = "is told to drop its task"
        each(views, lambda c, name: c.cancel_task(loaded.fleet_id, name), "cancelled", words, as_json)
    else:
        each(views, lambda c, name: c.cancel_turn(loaded.fleet_id, name), "cancelled", "has ended its turn", as_json)


def instruct(
    agent: AgentArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to do from now on; - reads standard input.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Instead of its instructions, not beside them.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an agent new instructions; its next turn begins with them. Without TEXT: show those it has."""
    loaded, board, _ = open_board(project)
    spec = loaded.fleet.agent(agent)
    words = given_text(text)
    if not words:
        if replace:
            raise ConfigError("instead by what?", operation="instruct", hint="say the new instructions")
        _show_instructions(board, agent, spec.initial_instructions, as_json)
        return
    check_instructions(words)
    check_at_work(board, agent)
    mode = "replace" if replace else "amend"
    with_control(lambda control: control.instruct(loaded.fleet_id, agent, words, "replace" if replace else "amend"))
    if as_json:
        emit_json({"agent": agent, "mode": mode, "text": words})
    else:
        say(f"{agent} has new instructions" + (", instead of those it had" if replace else ""))


def approve(
    agent: OneAgent = "",
    team: TeamOption = False,
    lasting: Annotated[str, typer.Option("--for", metavar="TIME", help="How long, such as 10m; at most 8h.")] = "",
    end: Annotated[bool, typer.Option("--end", help="Ask again from now on.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve everything for a while. Each approval stays on record; questions still wait for you."""
    loaded, board, _ = open_board(project)
    check_one(loaded, agent, team, "approve")
    if end == bool(lasting):
        raise ConfigError("for how long?", operation="approve", hint="say --for 10m, or --end")
    whose = agent or "the team"
    if end:
        with_control(lambda control: control.end_approve_all(loaded.fleet_id, agent))
        emit_json({"agent": agent, "until": None}) if as_json else say(f"approvals of {whose} wait for you again")
        return
    if agent:
        check_at_work(board, agent)
    seconds = _seconds(lasting)
    until = with_control(lambda control: control.approve_all(loaded.fleet_id, timedelta(seconds=seconds), agent))
    if as_json:
        emit_json({"agent": agent, "until": until.isoformat()})
    else:
        say(
            f"every approval of {whose} is given until {clock(until)}; to end it: skerry approve "
            f"{agent or '--team'} --end"
        )


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--for {text!r}: {error}", operation="approve", hint="such as 10m") from None


def _show_instructions(board: Board, agent: str, initial: str, as_json: bool) -> None:
    changes = [item for item in board.instructions if item.agent == agent]
    if as_json:
        history = [item.model_dump(mode="json") for item in changes]
        emit_json({"agent": agent, "instructions": in_force(initial, changes), "initial": initial, "history": history})
        return
    out = console()
    for line in wrapped(Text(plain(in_force(initial, changes)) or "(none)"), width_of(out)):
        out.print(line)
    for item in changes:
        out.print(Text(_change_line(item), "dim"))


def _change_line(item: InstructionsChanged) -> str:
    what = "task cancelled" if item.cancel else "replaced" if item.mode == "replace" else "amended"
    asked = f", answering {item.interrupt_id}" if item.interrupt_id else ""
    return f"{clock(item.at)}  {what} by {plain_line(item.by, 40)}{asked}: {plain_line(item.text, 120)}"
