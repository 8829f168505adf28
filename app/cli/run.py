"""``skerry run``: put a team to work, in the window or in the terminal; and the hidden ``skerry engine``."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.headless import Wishes, run_headless
from app.cli.output import FAILED
from app.cli.place import ProjectArgument, project_place
from app.cli.readiness import check_ready
from app.config import Paths, load_project
from app.config.answers import load_answers
from app.domain.errors import ConfigError

DEFAULT_SCENARIO = "blueprint"


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(run)
    app.command(hidden=True)(engine)


def with_default_scenario(arguments: list[str]) -> list[str]:
    """``arguments`` with a bare ``--rehearse`` given its value: the scenario may be left out."""
    result: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return result + arguments[position:]
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
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answers written beforehand (YAML); others wait.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts, one JSON object a line.")] = False,
) -> None:
    """Put the project's team to work. Ends 0 when no agent failed and nobody waits for you.

    A team that is at work already is joined. The last four options need --headless.
    """
    if not headless and (until_idle or answer_default or answers or as_json):
        raise ConfigError(
            "--until-idle, --answer-default, --answers and --json are for a run without a window",
            operation="run",
            hint="add --headless",
        )
    loaded = load_project(project_place(project))
    prepared = load_answers(answers) if answers is not None else None
    scenario = scenario_file(rehearse) if rehearse else None
    paths = Paths.from_environment()
    check_ready(paths, loaded, rehearsed=scenario is not None)
    paths.prepare()
    if not headless:
        from app.ui.application import run_window

        raise typer.Exit(run_window(loaded, paths, rehearse=scenario, start=True))
    wishes = Wishes(
        scenario=scenario,
        until_idle=until_idle,
        answer_default=answer_default,
        prepared=prepared,
        as_json=as_json,
    )
    raise typer.Exit(0 if run_headless(loaded, paths, wishes) else FAILED)


def engine() -> None:
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
    candidate = Path(name).expanduser()
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
    folder = Paths.from_environment().rehearsals
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def _names_a_scenario(word: str) -> bool:
    if word.startswith("-"):
        return False
    if word.endswith((".yaml", ".yml")) or word in _scenarios():
        return True
    return "/" not in word and not Path(word).exists()  # else it is the project
