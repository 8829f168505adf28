"""``skerry`` alone: the window on the project in this folder; without a display, the same in the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping

from app.cli import run
from app.cli.output import tell
from app.cli.place import project_place
from app.config import Project, load_project


def open_window() -> None:
    """Open the window; on a machine without a display say so, and run the team in the terminal instead."""
    if has_display(os.environ):
        run.run()
        return
    tell("There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set): going on in the terminal, as")
    rehearse = run.DEFAULT_SCENARIO if _should_rehearse(load_project(project_place(None))) else None
    tell("  skerry run --headless" + (f" --rehearse {rehearse}" if rehearse else ""))
    if rehearse:
        tell("(a rehearsal with a scripted model, as no key of a model provider is set)")
    run.run(headless=True, rehearse=rehearse)


def has_display(environment: Mapping[str, str]) -> bool:
    """Whether Qt would find a place for a window."""
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def _should_rehearse(project: Project) -> bool:
    """Whether this is the example team and no key is there: then the first run is the scripted one."""
    example = os.environ.get("SKERRY_CHECKOUT") == str(project.root)
    return example and not any(
        key_may_be_there(project.fleet.provider_of(agent).credential, os.environ) for agent in project.fleet.agents
    )


def key_may_be_there(reference: str | None, environment: Mapping[str, str]) -> bool:
    """False only when a provider's key is known to be missing; nothing is read but the environment."""
    if reference is not None and reference.startswith("env:"):
        return bool(environment.get(reference.removeprefix("env:")))
    return True
