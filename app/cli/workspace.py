"""``skerry workspace``: an agent's work, compared with what it began with, and its branch. No engine is needed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from app.cli.output import console, emit_json, plain, plain_line, say
from app.cli.place import ProjectOption, naming, project_place
from app.config import Paths, Project, load_project
from app.domain.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from app.sandbox.changes import Changes, Work
    from app.sandbox.pull import Pulled
    from app.sandbox.repository import AgentRepository

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="An agent of the project.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]

_PATCH_STYLE = (
    *((words, "bold") for words in ("diff ", "--- ", "+++ ")),
    ("index ", "dim"),
    ("@@", "cyan"),
    ("+", "green"),
    ("-", "red"),
)
_SIGNS = {"added": "A", "removed": "D", "changed": "M"}


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    workspace = typer.Typer(help="What an agent did in its workspace.", no_args_is_help=True, rich_markup_mode=None)
    workspace.command("pull")(pull)
    workspace.command("diff")(diff)
    app.add_typer(workspace, name="workspace")


def pull(
    agent: AgentArgument,
    project: ProjectOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace your branch, whatever commits of its own it has.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch an agent's branch into your repository. Your files and other branches stay as they are."""
    from app.sandbox.pull import pull_branch

    loaded, kept = _open(project, agent)
    if loaded.repository is None:
        hint = f"its files are in {loaded.sandbox_path(loaded.fleet.agent(agent))}"
        raise ConfigError("the project names no repository", operation="pull the branch", hint=hint)
    pulled = pull_branch(kept, loaded.repository, force=force)
    if as_json:
        emit_json({"agent": agent, "repository": str(loaded.repository), **asdict(pulled)})
        return
    _show_pulled(pulled, loaded.repository)
    if not kept.commits():
        say(f"The agent has committed nothing; its files: skerry workspace diff {agent}{naming(loaded)}")
        return
    say(f"look:  git -C {loaded.repository} log -p ..{pulled.branch}", "dim")
    say(f"merge: git -C {loaded.repository} merge {pulled.branch}", "dim")


def diff(
    agent: AgentArgument,
    project: ProjectOption = None,
    stat: Annotated[bool, typer.Option("--stat", help="Files and line counts only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what an agent changed since its run began: what it committed, and what it did not."""
    from app.sandbox.changes import work_of

    loaded, kept = _open(project, agent)
    work = work_of(kept, loaded.sandbox_path(loaded.fleet.agent(agent)), patch=not stat)
    if work is None:
        hint = f"see its files in {loaded.sandbox_path(loaded.fleet.agent(agent))}"
        raise NotFound(f"it is not known what {agent} began with", operation="compare the workspace", hint=hint)
    if as_json:
        emit_json(_for_programs(agent, work))
        return
    _show_commits(work)
    _show(work.committed, "", stat)
    if work.uncommitted is None:
        say("Its workspace has not been brought out in this run yet.", "dim")
    else:
        _show(work.uncommitted, "Not committed:" if loaded.repository is not None else "", stat)
    if not (work.commits or work.committed.files or (work.uncommitted and work.uncommitted.files)):
        say(f"{agent} has changed nothing.")


def _open(project: Path | None, agent: str) -> tuple[Project, AgentRepository]:
    from app.sandbox.repository import AgentRepository

    loaded, paths = load_project(project_place(project)), Paths.from_environment()
    spec = loaded.fleet.agent(agent)
    return loaded, AgentRepository(paths.repository(loaded.fleet_id, spec.id), spec.id)


def _show_pulled(pulled: Pulled, repository: Path) -> None:
    if pulled.before == pulled.after:
        say(f"{pulled.branch} is up to date in {repository}")
        return
    say(f"{pulled.branch}: {_count(pulled.commits, 'new commit')}, now at {pulled.after[:12]} in {repository}")
    if pulled.left and pulled.before:
        left = f"replaced {_count(pulled.left, 'commit')} of yours"
        say(f"{left}; to get back to them: git branch NAME {pulled.before[:12]}", "yellow")


def _show_commits(work: Work) -> None:
    for commit in reversed(work.commits):
        out = Text.assemble(
            (commit.id[:12], "yellow"), f"  {plain_line(commit.date, 30)}  {plain_line(commit.subject, 200)}"
        )
        console().print(out)
    if work.commits:
        console().print()


def _show(changes: Changes, title: str, stat: bool) -> None:
    if not changes.files:
        return
    out = console()
    if title:
        out.print(Text(title, "bold"))
    for change in changes.files:
        counts = "" if change.added is None else f"+{change.added} -{change.removed or 0}"
        out.print(Text(f"{_SIGNS.get(change.state, 'T')} {_name(change.path)}  {counts or 'not text'}"))
    out.print()
    for line in [] if stat else changes.patch.split("\n"):
        out.print(Text(plain(line), _style(line)))


def _name(path: str) -> str:
    """A file's name on one line, whatever is in it."""
    return plain(path).replace("\n", "\\n").replace("\t", "\\t")


def _style(line: str) -> str:
    return next((style for beginning, style in _PATCH_STYLE if line.startswith(beginning)), "")


def _for_programs(agent: str, work: Work) -> dict[str, Any]:
    values = asdict(work)
    for part in ("committed", "uncommitted"):
        if values[part] is not None:
            values[part]["files"] = list(values[part]["files"])
    return {"agent": agent, **values, "commits": list(values["commits"])}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
