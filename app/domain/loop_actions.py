"""The tools that only the API loops have: what an agent's program would do in the machine by itself."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from posixpath import join, normpath
from typing import Any, ClassVar, Final

from pydantic import Field, ValidationError

from app.domain.actions import ACTIONS, Action, help_text, schema
from app.domain.errors import ActionRefused
from app.domain.loops import LoopTool

WORKSPACE: Final = "/workspace"
HOME: Final = "/home/agent"
MAX_CONTENT: Final = 1_000_000


class RunCommand(Action):
    """Run a shell command (bash) in your machine, as the user agent; it gets no input. Returns exit code and output."""

    name: ClassVar[str] = "run_command"
    command: str = Field(description="The command; several lines are allowed.", min_length=1)
    folder: str = Field(default=WORKSPACE, description="Where it runs.")
    timeout_seconds: int | None = Field(default=None, ge=1, le=86_400, description="Ended then; your limit at most.")


class ReadFile(Action):
    """Read a text file of your machine, with its lines numbered."""

    name: ClassVar[str] = "read_file"
    path: str = Field(description="Absolute, or below /workspace.", min_length=1)
    start_line: int = Field(default=1, ge=1, le=10_000_000, description="The first line shown.")
    lines: int = Field(default=500, ge=1, le=5000, description="How many lines at most.")


class WriteFile(Action):
    """Write a whole file, its folders made where they are missing. What was in it is replaced."""

    name: ClassVar[str] = "write_file"
    path: str = Field(description="Absolute, or below /workspace.", min_length=1)
    content: str = Field(description="All of its text.", max_length=MAX_CONTENT)


class EditFile(Action):
    """Replace a piece of text in a file. The old text must stand there exactly once, unless everywhere is true."""

    name: ClassVar[str] = "edit_file"
    path: str = Field(description="Absolute, or below /workspace.", min_length=1)
    old: str = Field(
        description="The text that stands there, with its indentation, without line numbers.", min_length=1
    )
    new: str = Field(description="The text that takes its place.", max_length=MAX_CONTENT)
    everywhere: bool = Field(default=False, description="Replace every place where the old text stands.")


LoopAction = RunCommand | ReadFile | WriteFile | EditFile
LOOP_ACTIONS: Final[tuple[type[LoopAction], ...]] = (RunCommand, ReadFile, WriteFile, EditFile)


def loop_tools() -> tuple[LoopTool, ...]:
    """All tools of an API loop: those of the machine, then those that every brand of agent has."""
    kinds: tuple[type[Action], ...] = (*LOOP_ACTIONS, *ACTIONS)
    return tuple(LoopTool(kind.name, help_text(kind), _parameters(kind)) for kind in kinds)


def parse_loop_action(name: str, arguments: Mapping[str, object]) -> LoopAction | None:
    """The typed action, None for a tool that is not of the machine. Raises ActionRefused in words for the model."""
    kind = next((action for action in LOOP_ACTIONS if action.name == name), None)
    if kind is None:
        return None
    try:
        return kind.model_validate(dict(arguments))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}" for item in error.errors())
        raise ActionRefused(f"{name}: {found}", operation=name) from None


def is_known(name: str) -> bool:
    """Whether there is a tool of that name."""
    return any(kind.name == name for kind in (*LOOP_ACTIONS, *ACTIONS))


def in_machine(path: str) -> str:
    """The absolute path of a file in the machine."""
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return "/" + normpath(join(WORKSPACE, path)).lstrip("/")  # two slashes at the begin would stay two


def as_command(action: LoopAction) -> str:
    """The command that does the same for the rules: reading a file is what ``cat`` does; empty for changes of files."""
    if isinstance(action, RunCommand):
        return action.command
    return f"cat {shlex.quote(in_machine(action.path))}" if isinstance(action, ReadFile) else ""


def _parameters(kind: type[Action]) -> dict[str, Any]:
    return {key: value for key, value in schema(kind).items() if key != "description"}
