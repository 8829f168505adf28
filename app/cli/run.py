"""``skerry run``: put a team to work, in the window or in the terminal; and the hidden ``skerry engine``."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.follow import Follower, Teller, follow_to_the_end, stop_and_see_the_end, succeeded
from app.cli.output import FAILED, console, emit_json_line, tell
from app.cli.place import ProjectArgument, project_place
from app.cli.story import story_line
from app.config import Paths, Project, load_project
from app.control import Control, engine_info
from app.domain.errors import ConfigError, EngineError
from app.domain.events import Event

DEFAULT_SCENARIO = "blueprint"


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(run)
    app.command(hidden=True)(engine)


def with_default_scenario(arguments: list[str]) -> list[str]:
    """``arguments`` with a bare ``--rehearse`` given its value: the scenario may be left out."""
    result: list[str] = []
    for position, argument in enumerate(arguments):
        following = arguments[position + 1] if position + 1 < len(arguments) else "-"
        bare = argument == "--rehearse" and not _names_a_scenario(following)
        result.append(f"--rehearse={DEFAULT_SCENARIO}" if bare else argument)
    return result


def run(
    project: ProjectArgument = None,
    headless: Annotated[bool, typer.Option("--headless", help="In the terminal, without a window.")] = False,
    rehearse: Annotated[
        str | None,
        typer.Option(
            metavar="[SCENARIO]",
            help="A scripted model instead of a provider; a name or a file. Without one: blueprint.",
        ),
    ] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is left to do.")] = False,
    answer_default: Annotated[
        bool, typer.Option("--answer-default", help="Answer every question with its default.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts, one JSON object a line.")] = False,
) -> None:
    """Put the project's team to work. Ends 0 when no agent failed and nobody waits for you."""
    loaded = load_project(project_place(project))
    scenario = scenario_file(rehearse) if rehearse else None
    paths = Paths.from_environment()
    paths.prepare()
    if not headless:
        from app.ui.application import run_window

        raise typer.Exit(run_window(loaded, paths, rehearse=scenario))
    try:
        done = asyncio.run(_headless(loaded, paths, scenario, until_idle, answer_default, as_json))
    except KeyboardInterrupt:
        tell("The agents go on. Follow them with 'skerry run --headless', end them with 'skerry stop --team'.")
        raise
    raise typer.Exit(0 if done else FAILED)


async def _headless(
    project: Project, paths: Paths, scenario: str | None, until_idle: bool, answer_default: bool, as_json: bool
) -> bool:
    ours = engine_info(paths) is None
    control = await Control.connect(paths, progress=tell)
    try:
        run_id = await control.run_fleet(project, rehearse=scenario)
        tell(f"Temporal's window: {control.engine.temporal_ui}")
        follower = Follower(paths, project.fleet_id, run_id, _teller(project, as_json))
        try:
            control, ours = await _follow(follower, control, paths, ours, until_idle, answer_default)
            good = succeeded(follower.board)
            if until_idle and good and not follower.board.outcome:
                await stop_and_see_the_end(follower, control)
        finally:
            follower.close()
        if follower.board.open_interrupts and not follower.board.outcome:
            tell("An agent waits for you: see 'skerry interrupts', answer with 'skerry answer'.")
        elif ours and until_idle:
            await control.stop_engine()
        return good
    finally:
        await control.close()


async def _follow(
    follower: Follower, control: Control, paths: Paths, ours: bool, until_idle: bool, answer_default: bool
) -> tuple[Control, bool]:
    """Follow to the end, over the death of engines; returns the last connection and whether its engine is ours."""
    while True:
        try:
            await follow_to_the_end(follower, control, until_idle=until_idle, answer_default=answer_default)
        except EngineError:
            if control.alive:
                raise
            tell("The engine has gone; another one takes over, and the agents go on.", "yellow")
            await control.close()
            control, ours = await Control.connect(paths, progress=tell), True
        else:
            return control, ours


def engine(
    foreground: Annotated[bool, typer.Option("--verbose", help="Log to the terminal.")] = False,
) -> None:
    """Run the engine in the foreground until it gets TERM. Started by itself when it is needed."""
    from app.engine.compose import run_engine

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True
    )
    asyncio.run(run_engine(Paths.from_environment()))
    # Temporal's core may crash the interpreter on its way out (FACTS.md B2.4): everything is closed, so leave at once.
    logging.shutdown()
    os._exit(0)


def scenario_file(name: str) -> str:
    """The path of a scenario: a file, or the name of one that ships with Skerry. Raises ConfigError."""
    candidate = Path(name)
    if candidate.suffix in (".yaml", ".yml") or "/" in name:
        if not candidate.is_file():
            raise ConfigError(f"there is no scenario {name}", operation="rehearse", hint="name a file or a scenario")
        return str(candidate.resolve())
    shipped = _scenarios()
    if name not in shipped:
        raise ConfigError(
            f"there is no scenario {name!r}", operation="rehearse", hint="scenarios: " + ", ".join(sorted(shipped))
        )
    return str(shipped[name])


def _scenarios() -> dict[str, Path]:
    folder = Path(__file__).resolve().parents[2] / "resources" / "rehearsals"
    return {file.stem: file for file in folder.glob("*.yaml")}


def _names_a_scenario(word: str) -> bool:
    return not word.startswith("-") and (word.endswith((".yaml", ".yml")) or word in _scenarios())


def _teller(project: Project, as_json: bool) -> Teller:
    if as_json:
        return lambda event: emit_json_line(event.model_dump(mode="json"))
    width = max(len(agent.id) for agent in project.fleet.agents)
    out = console()

    def tell_story(event: Event) -> None:
        line = story_line(event, width)
        if line is not None:
            out.print(line, width=max(shutil.get_terminal_size().columns, 80))

    return tell_story
