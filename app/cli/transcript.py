"""``skerry console``: the story of one agent, each turn with its prompt; or its machine's serial port."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer

from app.cli.look import RunOption, open_board
from app.cli.output import console, emit_json_line, say, width_of
from app.cli.place import ProjectOption
from app.cli.story import NORMAL, WHOLE, story_lines
from app.config import Paths
from app.domain.board import Board
from app.domain.errors import ConfigError, NotFound
from app.domain.events import Event, RunStarted, TurnStarted
from app.store.journal import JournalReader

POLL_SECONDS = 0.2

Show = Callable[[Event], None]


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("console")(show_console)


def show_console(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Whose story.")],
    project: ProjectOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as facts come in, until Ctrl-C.")] = False,
    turn: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Only this turn.")] = 0,
    run: RunOption = "",
    full: Annotated[bool, typer.Option("--full", help="Whole prompts, commands and outputs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The facts, one JSON object a line.")] = False,
    serial: Annotated[bool, typer.Option("--serial", help="What the machine says on its serial port instead.")] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="A root shell on the serial port; Ctrl-] leaves.")
    ] = False,
) -> None:
    """Show what an agent was told, said and did in the newest run."""
    loaded, board, paths = open_board(project, run)
    if agent not in board.agents:  # one that ran once may be gone from agents.yaml
        loaded.fleet.agent(agent)
    if serial or interactive:
        if full or as_json:
            raise ConfigError("the serial port has no --full or --json", operation="console", hint="leave them out")
        _show_serial(paths, loaded.fleet_id, agent, interactive=interactive, follow=follow)
        return
    turns = board.agents[agent].turn if agent in board.agents else 0
    if turn > turns and not follow:
        raise NotFound(f"{agent} has had {turns} turns in this run", operation="console", hint="name one of them")
    show = _show_json if as_json else _show_story(full)
    show = _only_turn(turn, show) if turn else show
    told = _tell_facts(paths, board, agent, show, run, follow=follow)
    if not told and not as_json:
        say(f"{agent} has not run yet; start the team with: skerry run")


def _show_serial(paths: Paths, fleet: str, agent: str, *, interactive: bool, follow: bool) -> None:
    from app.cli.serial import attach, serial_port, show_log

    machine = serial_port(paths, fleet, agent)
    if interactive:
        attach(machine, agent)
    else:
        show_log(machine, agent, follow=follow)


def _tell_facts(paths: Paths, board: Board, agent: str, show: Show, of: str, *, follow: bool) -> int:
    """Show the agent's facts of the run ``of``, or the newest and those to come; returns how many there were."""
    reader, run, after, told, caught_up = JournalReader(paths.journal_db), board.run, 0, 0, False
    try:
        while True:
            batch = reader.read(after, limit=10_000)
            for number, event in batch:
                after = number
                if caught_up and not of and isinstance(event, RunStarted) and event.fleet == board.fleet:
                    run = event.run
                if (event.fleet, event.run, event.agent) == (board.fleet, run, agent):
                    show(event)
                    told += 1
            if not batch:
                caught_up = True
                if not follow:
                    return told
                time.sleep(POLL_SECONDS)
    finally:
        reader.close()


def _only_turn(turn: int, show: Show) -> Show:
    """Shows what happened in one turn, with the facts in between that name none."""
    current = 0

    def narrow(event: Event) -> None:
        nonlocal current
        if isinstance(event, TurnStarted):
            current = event.turn
        if getattr(event, "turn", current) == turn:
            show(event)

    return narrow


def _show_json(event: Event) -> None:
    emit_json_line(event.model_dump(mode="json"))


def _show_story(full: bool) -> Show:
    out, depth = console(), WHOLE if full else NORMAL

    def show(event: Event) -> None:
        if isinstance(event, TurnStarted):
            out.print()
        for line in story_lines(event, depth, width=width_of(out)):
            out.print(line)

    return show
