"""``skerry rules``: what the rules of an agent say of a command. Nothing is run, no engine is needed."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from app.cli.output import ASKED, FAILED, console, emit_json, plain, plain_line
from app.cli.place import ProjectOption, project_place
from app.config import load_project
from app.config.rules_book import RulesBook
from app.domain.decisions import Decision, Judged, RunCommand
from app.domain.patterns import WORKSPACE

_STATUS = {"allow": 0, "ask": ASKED, "deny": FAILED}
_STYLE = {"allow": "green", "ask": "yellow", "deny": "red"}
_WORDS = {"allow": "allowed", "ask": "the user is asked", "deny": "denied"}


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    rules = typer.Typer(help="What the rules of an agent say.", no_args_is_help=True, rich_markup_mode=None)
    rules.callback()(_group)
    rules.command()(check)
    app.add_typer(rules, name="rules")


def _group() -> None:
    """What the rules of an agent say."""


def check(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="An agent of the project.")],
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The command, after '--'; - reads it from standard input.")
    ],
    folder: Annotated[str, typer.Option(metavar="PATH", help="Where it would run, in the machine.")] = WORKSPACE,
    project: ProjectOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result for programs.")] = False,
) -> None:
    """Say what would be decided on a command, and why. Exit status: 0 allowed, 7 the user is asked, 1 denied."""
    loaded = load_project(project_place(project))
    book = RulesBook(loaded, loaded.fleet.agent(agent))
    text = _text(command)
    judged = book.decide(RunCommand(text, folder))
    if as_json:
        emit_json(_for_programs(agent, text, judged, book))
    else:
        _tell(judged, book)
    raise typer.Exit(_STATUS[judged.decision.verdict])


def _text(command: list[str]) -> str:
    if command == ["-"]:
        return sys.stdin.read()
    return command[0] if len(command) == 1 else shlex.join(command)


def _tell(judged: Judged, book: RulesBook) -> None:
    out, decision = console(), judged.decision
    out.print(Text(f"{_WORDS[decision.verdict]}: {plain_line(decision.why, 400)}", f"bold {_STYLE[decision.verdict]}"))
    out.print(Text(f"  rule {plain_line(decision.rule, 400)}  ({book.place(decision)})"))
    if len(judged.parts) > 1:
        out.print(Text("its parts:"))
    for part in judged.parts if len(judged.parts) > 1 else ():
        line = Text(f"  {part.verdict:<6}", _STYLE[part.verdict])
        out.print(line + Text(f"{plain_line(part.part or part.why, 80)}  [{plain_line(part.rule, 80)}]", ""))
    if decision.verdict == "ask" and judged.always:
        out.print(Text(f"“always” would remember: {plain('; '.join(judged.always))}", "dim"))


def _for_programs(agent: str, text: str, judged: Judged, book: RulesBook) -> dict[str, object]:
    script = judged.script
    return {
        "agent": agent,
        "command": text,
        **_decided(judged.decision, book),
        "parts": [_decided(part, book) for part in judged.parts],
        "commands": [] if script is None else [command.line for command in script.commands],
        "writes": [] if script is None else script.written,
        "reads": [] if script is None else script.read,
        "unclear": [] if script is None else script.unclear,
        "always": list(judged.always),
    }


def _decided(decision: Decision, book: RulesBook) -> dict[str, object]:
    return {**asdict(decision), "place": book.place(decision)}
