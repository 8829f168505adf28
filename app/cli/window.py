"""``skerry`` alone: the window on the project in this folder; without a display, the same in the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping

import typer

from app.cli import run
from app.cli.output import tell
from app.cli.place import project_place
from app.config import Paths, Project, load_project
from app.control import read_board
from app.engine.credentials import missing_credentials


def open_window() -> None:
    """Open the window; on a machine without a display say so, and run the team in the terminal instead."""
    project = load_project(project_place(None))
    rehearse = run.DEFAULT_SCENARIO if _should_rehearse(project) else None
    if not has_display(os.environ):
        tell("There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set): going on in the terminal, as")
        tell("  skerry run --headless" + (f" --rehearse {rehearse}" if rehearse else ""))
        if rehearse:
            tell("(a rehearsal with a scripted model, as no key of a model provider is set)")
        run.run(headless=True, rehearse=rehearse)
        return
    from app.ui.application import run_window

    paths = Paths.from_environment()
    scenario = run.scenario_file(rehearse) if rehearse else None
    # The first time there is something to see at once; later a person may have come to look at what was.
    first = scenario is not None and not read_board(paths, project.fleet_id).run
    raise typer.Exit(run_window(project, paths, rehearse=scenario, start=first))


def has_display(environment: Mapping[str, str]) -> bool:
    """Whether Qt would find a place for a window."""
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def _should_rehearse(project: Project) -> bool:
    """Whether this is the example team and no key is there: then the first run is the scripted one."""
    example = os.environ.get("SKERRY_CHECKOUT") == str(project.root)
    return example and bool(missing_credentials(project))
