"""Which project a command is about."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from app.config import FILE_NAMES, Project

ProjectArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="PROJECT", help="Folder with an agents.yaml, or the file itself.", show_default="this folder"
    ),
]

ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", "-p", metavar="PROJECT", help="Folder with an agents.yaml.", show_default="this folder"),
]


def project_place(given: Path | None) -> Path:
    """The place named, else this folder when it holds a project, else the checkout Skerry was started from."""
    if given is not None:
        return given
    here = Path()
    checkout = os.environ.get("SKERRY_CHECKOUT")
    if checkout is None or any((here / name).is_file() for name in FILE_NAMES):
        return here
    return Path(checkout)


def naming(project: Project) -> str:
    """What a command typed here needs besides to be about ``project``: nothing, or `` -p PLACE``."""
    place = project_place(None)
    here = any((place / name).is_file() for name in FILE_NAMES) and place.resolve() == project.root
    return "" if here else f" -p {shlex.quote(str(project.root))}"
