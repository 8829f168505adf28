"""Commands about agents' lives and machines: ``pause``, ``resume``, ``start``, ``reset``, ``remove``."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from app.cli.act import JsonOption, check_at_work, with_control
from app.cli.look import open_board
from app.cli.output import FAILED, complain, emit_json, plain_line, say, tell
from app.cli.place import ProjectOption
from app.config import Paths, Project
from app.control import Control, read_board
from app.domain.board import AgentView, Board
from app.domain.errors import ActionRefused, ConfigError, NotFound, SkerryError
from app.domain.events import ENDED, AgentStatus

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="The agent.")]
OneAgent = Annotated[str, typer.Argument(metavar="AGENT", help="Only this agent.")]
TeamOption = Annotated[bool, typer.Option("--team", help="All agents of the project.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Order = Callable[[Control, str], Awaitable[None]]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    for command in (pause, resume, start, reset, remove):
        app.command()(command)


def pause(
    agent: OneAgent = "",
    team: TeamOption = False,
    to_disk: Annotated[
        bool, typer.Option("--to-disk", help="After the turn, save the machine to disk and free its memory.")
    ] = False,
    after_command: Annotated[
        bool, typer.Option("--after-command", help="When the command that runs has ended; at once when none does.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold an agent: its machine stands still at once, also in the middle of a turn.

    Messages go on to reach its inbox. It survives an end of the engine.
    """
    loaded, board, _ = open_board(project)
    check_one(loaded, agent, team, "pause")
    if to_disk and after_command:
        hint = "--to-disk pauses after the turn"
        raise ConfigError("--to-disk and --after-command exclude each other", operation="pause", hint=hint)
    views = chosen(board, agent, lambda view: not _is_paused(view), "at work and not paused")
    if agent and _is_paused(views[0]):
        raise ActionRefused(f"{agent} is paused already", operation="pause", hint=f"skerry resume {agent}")
    words = "is paused after its command" if after_command else "is paused"
    words = "is paused after its turn, its machine is then saved to disk" if to_disk else words

    async def order(control: Control, name: str) -> None:
        await control.pause_agent(loaded.fleet_id, name, to_disk=to_disk, after_command=after_command)

    each(views, order, "paused", words, as_json)


def resume(
    agent: OneAgent = "", team: TeamOption = False, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Let a paused agent go on where it stood."""
    loaded, board, _ = open_board(project)
    check_one(loaded, agent, team, "resume")
    views = chosen(board, agent, _is_paused, "paused")
    if agent and not _is_paused(views[0]):
        state = f"{views[0].state.value}: {plain_line(views[0].reason)}"
        hint = f"hold it with 'skerry pause {agent}'"
        raise ActionRefused(f"{agent} is not paused ({state})", operation="resume", hint=hint)
    each(views, lambda c, name: c.resume_agent(loaded.fleet_id, name), "resumed", "goes on", as_json)


def start(
    agent: OneAgent = "", team: TeamOption = False, project: ProjectOption = None, as_json: JsonOption = False
) -> None:
    """Start an agent that has ended again: same disk, memory, inbox and conversation.

    When the whole run has ended, it goes on with this agent alone; with --team, with all that had ended.
    """
    loaded, board, _ = open_board(project)
    check_one(loaded, agent, team, "start")
    views = [_may_start(loaded, board, agent)] if agent else _ended(board)
    each(views, lambda c, name: c.start_agent(loaded.fleet_id, name), "started", "is started again", as_json)


def _ended(board: Board) -> list[AgentView]:
    found = [view for view in board.agents.values() if not view.removed and (board.outcome or view.state in ENDED)]
    if not found:
        raise NotFound("no agent has ended", operation="start", hint="see 'skerry status'")
    return found


def _may_start(loaded: Project, board: Board, agent: str) -> AgentView:
    view = board.agents.get(agent)
    if view is None:
        words = f"began without {agent}" if board.run else "has not run yet"
        raise NotFound(
            f"the team of {loaded.name} {words}", operation="start", hint="start the whole team with 'skerry run'"
        )
    if view.state not in ENDED and not board.outcome:
        hint = f"skerry resume {agent}" if _is_paused(view) else "see 'skerry status'"
        raise ActionRefused(f"{agent} is at work ({view.state.value})", operation="start", hint=hint)
    return view


def reset(
    agent: OneAgent = "",
    team: TeamOption = False,
    yes: YesOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an agent a clean machine and let it begin anew. Memory file, inbox and ``sandbox_path`` stay.

    A running turn is cancelled; what the machine's disk holds besides the mirrored workspace is lost.
    """
    loaded, board, _ = open_board(project)
    check_one(loaded, agent, team, "reset")
    view = board.agents.get(agent)
    if view is not None and view.state in ENDED and not board.outcome:
        hint = f"'skerry remove {agent}' takes its machine away, 'skerry start {agent}' then makes a clean one"
        raise ActionRefused(f"{agent} has ended ({view.state.value})", operation="reset", hint=hint)
    views = chosen(board, agent, lambda view: not _is_paused(view), "at work and not paused")
    if view is not None and _is_paused(view):
        raise ActionRefused(f"{agent} is paused", operation="reset", hint=f"first: skerry resume {agent}")
    whose = f"machine of {agent} with its disk, and make a clean one" if agent else "machines of the whole team"
    _confirm(f"Destroy the {whose}?", yes, "reset")
    words = "gets a clean machine and begins anew"
    each(views, lambda c, name: c.reset_agent(loaded.fleet_id, name), "reset", words, as_json)


def remove(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="The agent, or PROJECT-ID.AGENT when its project is gone.")
    ],
    yes: YesOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the machine of an agent that has ended, with everything: disk, keys, saved memory."""
    fleet, _, name = agent.rpartition(".")
    if fleet:
        board = read_board(Paths.from_environment(), fleet)
    else:
        loaded, board, _ = open_board(project)
        fleet = loaded.fleet_id
        if name not in board.agents:
            loaded.fleet.agent(name)
    view = board.agents.get(name, AgentView(name))
    if board.run and not board.outcome and view.state not in ENDED and name in board.agents:
        raise ActionRefused(f"{name} is at work", operation="remove", hint=f"stop it first: skerry stop {name}")
    _confirm(f"Remove the machine of {name} with its disk?", yes, "remove")
    each([view], lambda c, one: c.remove_machine(fleet, one), "removed", "has no machine any more", as_json)


def board_views(board: Board, agent: str) -> list[AgentView]:
    """The view of one agent, or all of them when none is named."""
    return [view for view in board.agents.values() if not agent or view.id == agent]


def check_one(loaded: Project, agent: str, team: bool, operation: str) -> None:
    """Raise ConfigError unless an agent is named, or the team meant; NotFound for one that agents.yaml has not."""
    if bool(agent) == team:
        problem = "AGENT and --team exclude each other" if team else "which agent?"
        raise ConfigError(problem, operation=operation, hint="name an agent, or say --team")
    if agent:
        loaded.fleet.agent(agent)


def chosen(board: Board, agent: str, fits: Callable[[AgentView], bool], what: str) -> list[AgentView]:
    """The agent named, which is at work, or all of the team that fit."""
    if agent:
        check_at_work(board, agent)
        return board_views(board, agent)
    alive = [] if board.outcome else [view for view in board.agents.values() if view.state not in ENDED]
    found = [view for view in alive if fits(view)]
    if not found:
        raise NotFound(f"no agent is {what}", operation="find agents", hint="see 'skerry status'")
    return found


def _is_paused(view: AgentView) -> bool:
    return view.state is AgentStatus.PAUSED or view.pausing


def each(views: list[AgentView], order: Order, done: str, words: str, as_json: bool) -> None:
    """Give the order for each; one that is refused keeps nobody else from it. Ends 1 when one was."""
    refused = with_control(lambda control: _orders(control, [view.id for view in views], order))
    told = [view.id for view in views if view.id not in refused]
    if len(views) == 1 and refused:
        raise refused[views[0].id]
    if as_json:
        emit_json({done: told, "refused": {name: str(error) for name, error in refused.items()}})
    else:
        for name in told:
            say(f"{name} {words}")
        for error in refused.values():
            complain(error)
    if refused:
        raise typer.Exit(FAILED)


async def _orders(control: Control, names: list[str], order: Order) -> dict[str, SkerryError]:
    refused: dict[str, SkerryError] = {}
    for name in names:
        try:
            await order(control, name)
        except SkerryError as error:
            refused[name] = error
    return refused


def _confirm(question: str, yes: bool, operation: str) -> None:
    """Ask on a terminal. Raises ConfigError where nobody can be asked."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError("this cannot be undone, and nobody can be asked here", operation=operation, hint="add --yes")
    if not typer.confirm(question, default=False, err=True):
        tell("nothing was changed")
        raise typer.Exit(FAILED)
