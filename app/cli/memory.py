"""``skerry memory``: an agent's memory file and all that ever stood in it. No engine is needed, none is in the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from app.cli.listing import Column, Row, listing
from app.cli.output import clock, console, emit_json, plain, plain_line, say, tell, width_of
from app.cli.place import ProjectOption, project_place
from app.config import Paths, load_project
from app.control import Memory, open_memory
from app.domain.errors import ConfigError
from app.domain.memory import Revision
from app.domain.notes import readable

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="An agent of the project.")]
RevisionArgument = Annotated[int, typer.Argument(metavar="REVISION", min=1, help="Its number in the history.")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for the history.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]

_COLUMNS = (Column("REVISION", figures=True), Column("AT"), Column("BY"), Column("BYTES", optional=True, figures=True))
_PATCH_STYLE = (("---", "bold"), ("+++", "bold"), ("@@", "cyan"), ("+", "green"), ("-", "red"))


def register(app: typer.Typer) -> typer.Typer:
    """Add this module's commands to ``app``; gives their group, for others to add to."""
    memory = typer.Typer(help="What an agent has noted.", no_args_is_help=True, rich_markup_mode=None)
    for command in (show, history, diff, restore, export):
        memory.command()(command)
    memory.command("import")(bring_in)
    app.add_typer(memory, name="memory")
    return memory


def show(
    agent: AgentArgument,
    revision: Annotated[int | None, typer.Option(min=1, metavar="NUMBER", help="As it was then.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print an agent's memory file, as it is or as it was."""
    with _opened(project, agent) as memory:
        content, path = memory.read(revision), memory.path
    text = readable(content)
    if as_json:
        emit_json({"agent": agent, "path": str(path), "revision": revision, "size": len(content), "text": text})
    elif text.strip():
        console().print(Text(plain(text.removesuffix("\n"))))
    else:
        tell(f"the memory of {agent} is empty")


def history(agent: AgentArgument, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """List every revision: who made it, when, why and in which turn; the newest first."""
    with _opened(project, agent) as memory:
        revisions = memory.history()
    if as_json:
        emit_json({"agent": agent, "revisions": [_for_programs(item) for item in revisions]})
        return
    out = console()
    rows = [_row(item, agent) for item in reversed(revisions)]
    for line in listing(_COLUMNS, rows, width=width_of(out), title="WHAT"):
        out.print(line)
    if not revisions:
        tell(f"nothing is on record of the memory of {agent}")


def diff(
    agent: AgentArgument,
    before: Annotated[int | None, typer.Argument(metavar="FROM", min=0, help="The older revision.")] = None,
    after: Annotated[int | None, typer.Argument(metavar="TO", min=1, help="The newer one.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the newest revision changed; with FROM what changed since, with TO what changed between the two."""
    with _opened(project, agent) as memory:
        patch = memory.diff(before, after)
    if as_json:
        emit_json({"agent": agent, "from": before, "to": after, "patch": patch})
        return
    for line in patch.split("\n") if patch else []:
        style = next((style for beginning, style in _PATCH_STYLE if line.startswith(beginning)), "")
        console().print(Text(plain(line), style))
    if not patch:
        tell("nothing differs")


def restore(
    agent: AgentArgument,
    revision: RevisionArgument,
    why: WhyOption = "",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the memory file what it was. What it is now stays in the history."""
    with _opened(project, agent) as memory:
        made = memory.restore(revision, why)
    _say_made(made, f"the memory of {agent} is what it was at revision {revision}", as_json)


def export(
    agent: AgentArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; - is standard output.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an agent's memory with its whole history into one file."""
    with _opened(project, agent) as memory:
        data, count = memory.export(), len(memory.history())
    if str(file) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written: {error.strerror}", operation="export", hint="name a file that is not there yet"
        ) from error
    if as_json:
        emit_json({"agent": agent, "file": str(file), "revisions": count, "bytes": len(data)})
    else:
        say(f"{file} has the memory of {agent}: {count} revisions, {len(data)} bytes")


def bring_in(
    agent: AgentArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What 'skerry memory export' wrote.")],
    why: WhyOption = "",
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the memory file what an exported one holds. Its history is added; nothing of this agent's goes."""
    with _opened(project, agent) as memory:
        made = memory.bring_in(file, why)
    _say_made(made, f"the memory of {agent} is that of {file.name} now", as_json)


@contextmanager
def _opened(place: Path | None, agent: str) -> Iterator[Memory]:
    with open_memory(Paths.from_environment(), load_project(project_place(place)), agent) as memory:
        yield memory
        for dispute in memory.disputes():
            words = f"you and {agent} rewrote the same lines: both are in the file since revision {dispute.revision}"
            tell(f"{words}, the agent's after a comment", "yellow")


def _say_made(made: Revision, words: str, as_json: bool) -> None:
    if as_json:
        emit_json(_for_programs(made))
    else:
        say(f"{words}; this is revision {made.number}")


def _row(item: Revision, agent: str) -> Row:
    change = item.change
    who = agent if change.author == "agent" else change.author
    turn = f"turn {change.turn}" if change.turn else ""
    parts = [change.action, f"“{change.heading}”" if change.heading else "", turn, change.why]
    parts.append(f"imported: {item.origin}" if item.origin else "")
    words = ", ".join(plain_line(part) for part in parts if part)
    return Row((str(item.number), clock(item.at), who, str(item.size)), Text(words))


def _for_programs(item: Revision) -> dict[str, Any]:
    change = asdict(item.change)
    named = {key: change[key] for key in ("author", "action", "heading", "why", "run", "turn")}
    shown = {"revision": item.number, "at": item.at.isoformat(), **named, "size": item.size, "sha256": item.sha256}
    return {**shown, "origin": item.origin}
