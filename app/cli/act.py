"""Commands that change something through the engine: ``answer``, ``send``, ``stop``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from app.cli.output import emit_json, say
from app.cli.place import ProjectOption, project_place
from app.config import Paths, Project, load_project
from app.control import Control, read_board, stop_engine_process
from app.domain.errors import ConfigError, NotFound
from app.domain.interrupt import Answer, Interrupt, default_answer

T = TypeVar("T")
JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(answer)
    app.command()(send)
    app.command()(stop)


def answer(
    interrupt: Annotated[str, typer.Argument(metavar="ID", help="The interrupt; its first letters are enough.")],
    text: Annotated[str, typer.Argument(help="Your answer: an option, its number, or free text.")] = "",
    default: Annotated[bool, typer.Option("--default", help="Take the asker's default.")] = False,
    modify: Annotated[bool, typer.Option("--modify", help="TEXT is new instructions for the agent.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the agent instead of answering.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer what an agent asked. An answer is given once."""
    if sum((bool(text) and not modify, default, modify, cancel)) != 1:
        raise ConfigError("say one of: an answer, --default, --modify with a text, --cancel", operation="answer")

    async def give(control: Control, loaded: Project) -> Interrupt:
        asked = _find(loaded, interrupt)
        return await control.answer(loaded.fleet_id, asked.id, _answer(asked, text, default, modify, cancel))

    settled = _with_control(project, give)
    if as_json:
        emit_json(settled.model_dump(mode="json"))
    elif settled.answer is not None:
        say(f"{settled.agent} has your answer: {settled.answer.option or settled.answer.text or settled.answer.action}")


def send(
    recipient: Annotated[str, typer.Argument(metavar="AGENT", help="Who gets it.")],
    body: Annotated[str, typer.Argument(help="The message; - reads it from standard input.")],
    subject: Annotated[str, typer.Option(help="One line.")] = "",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write to an agent as the user. It reads it in its next turn."""
    text = sys.stdin.read() if body == "-" else body

    async def write(control: Control, loaded: Project) -> str:
        loaded.fleet.agent(recipient)
        return await control.send(loaded.fleet_id, recipient, text, subject)

    message_id = _with_control(project, write)
    if as_json:
        emit_json({"id": message_id, "state": "delivered"})
    else:
        say(f"{message_id} is in the inbox of {recipient}")


def stop(
    agent: Annotated[str, typer.Argument(metavar="[AGENT]", help="Only this agent.")] = "",
    team: Annotated[bool, typer.Option("--team", help="All agents of the project; the engine goes on.")] = False,
    project: ProjectOption = None,
) -> None:
    """End the engine, in order. With AGENT or --team, end only those agents: machine off, disk kept.

    When the engine ends, agents at work keep their machines and go on at its next start.
    """
    if agent or team:

        async def end(control: Control, loaded: Project) -> None:
            if agent:
                loaded.fleet.agent(agent)
                await control.stop_agent(loaded.fleet_id, agent)
            else:
                await control.stop_fleet(loaded.fleet_id)

        _with_control(project, end)
        say(f"{agent or 'the team'} is told to stop")
        return
    if asyncio.run(stop_engine_process(Paths.from_environment())):
        say("the engine has ended; agents at work go on when it is started again")
    else:
        say("no engine was running")


def _with_control(place: Path | None, do: Callable[[Control, Project], Awaitable[T]]) -> T:
    loaded = load_project(project_place(place))

    async def work() -> T:
        control = await Control.connect(Paths.from_environment(), start_engine=False)
        try:
            return await do(control, loaded)
        finally:
            await control.close()

    return asyncio.run(work())


def _find(project: Project, beginning: str) -> Interrupt:
    board = read_board(Paths.from_environment(), project.fleet_id)
    found = [item for item in board.interrupts.values() if item.id.startswith(beginning)]
    exact = [item for item in found if item.id == beginning]
    if len(exact or found) == 1:
        return (exact or found)[0]
    hint = "open: " + (", ".join(item.id for item in board.open_interrupts) or "none")
    words = "is not unique" if found else "names no interrupt of the newest run"
    raise NotFound(f"{beginning!r} {words}", operation="answer", hint=hint)


def _answer(asked: Interrupt, text: str, default: bool, modify: bool, cancel: bool) -> Answer:
    if default:
        return default_answer(asked).model_copy(update={"by": "user"})
    if cancel:
        return Answer(action="cancel")
    if modify:
        return Answer(action="modify", text=text)
    if text.isdigit() and 1 <= int(text) <= len(asked.options):
        return Answer(option=asked.options[int(text) - 1])
    return Answer(option=text) if text in asked.options else Answer(text=text)
