"""``skerry search`` and ``skerry memory search``: where it stands, and what to type to get there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from app.cli.output import clock, console, emit_json, plain, plain_line, say, tell
from app.cli.place import ProjectOption, project_place
from app.config import Paths, Project, load_project
from app.control.search import Kind, Query, Search, open_search
from app.domain.errors import ConfigError
from app.domain.quantities import parse_duration
from app.domain.search import KINDS, MAX_HITS, Found, Hit, parse_terms

QueryArgument = Annotated[
    list[str], typer.Argument(metavar="QUERY", help='Words; begin*, "a phrase", -without. All must stand together.')
]
AgentOption = Annotated[list[str], typer.Option("--agent", "-a", metavar="AGENT", help="Only of, or with, this agent.")]
SinceOption = Annotated[str, typer.Option(metavar="TIME", help="Not older: 2h, 3d, or 2026-01-31, 2026-01-31T14:00.")]
UntilOption = Annotated[str, typer.Option(metavar="TIME", help="Older than that.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_HITS, help="At most so many.")]
SubstringOption = Annotated[
    bool, typer.Option("--substring", "-s", help="Texts that may stand within a word: code, other languages.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="The result for programs.")]

_RELATIVE = re.compile(r"[\d.]+[a-z]+", re.IGNORECASE)


def register(app: typer.Typer, memory: typer.Typer) -> None:
    """Add this module's commands to ``app``, and to the group ``memory``."""
    app.command()(search)
    memory.command("search")(search_memory)
    memory.command()(reindex)


def search(
    query: QueryArgument,
    project: Annotated[
        Path | None, typer.Option("--project", "-p", metavar="PROJECT", help="Only what belongs to this project.")
    ] = None,
    agent: AgentOption = [],  # noqa: B006  # typer copies it
    kind: Annotated[list[str], typer.Option("--kind", "-k", metavar="KIND", help=f"Only {', '.join(KINDS)}.")] = [],  # noqa: B006
    since: SinceOption = "",
    until: UntilOption = "",
    limit: LimitOption = 20,
    substring: SubstringOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search all memories, messages, transcripts and questions of all projects; the best first."""
    loaded = load_project(project) if project is not None else None
    with _opened(loaded) as found:
        fleet = loaded.fleet_id if loaded else ""
        asked = _query(found, query, fleet, agent, [_kind(word) for word in kind], limit)
        asked = _timed(asked, since, until, substring)
        _show(found.find(asked), found.roots, as_json)


def search_memory(
    query: QueryArgument,
    agent: AgentOption = [],  # noqa: B006  # typer copies it
    project: ProjectOption = None,
    limit: LimitOption = 20,
    substring: SubstringOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search the memories of a project's agents; the best first."""
    loaded = load_project(project_place(project))
    with _opened(loaded) as found:
        asked = _query(found, query, loaded.fleet_id, agent, ["memory"], limit)
        _show(found.find(_timed(asked, "", "", substring)), found.roots, as_json)


def reindex(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Make the search index anew from the files and the journal. It is only a cache: nothing can be lost."""
    place = project_place(project)
    loaded = load_project(place) if project is not None or place.exists() else None
    with _opened(loaded) as found:
        count = found.reindex()
    if as_json:
        emit_json({"pieces": count})
    else:
        say(f"the search index is new: {count} pieces of text")


@contextmanager
def _opened(project: Project | None) -> Iterator[Search]:
    with open_search(Paths.from_environment(), *([project] if project else [])) as found:
        yield found


def _query(found: Search, words: list[str], fleet: str, agents: list[str], kinds: list[Kind], limit: int) -> Query:
    named = frozenset(pair for name in agents for pair in found.agents(name, fleet))
    # Words that the shell took the quotes off, so that they hold a space, were meant as a phrase.
    text = " ".join(f'"{word}"' if " " in word and '"' not in word and len(words) > 1 else word for word in words)
    return Query(parse_terms(text), fleet, named, frozenset(kinds), limit=limit)


def _timed(query: Query, since: str, until: str, substring: bool) -> Query:
    return Query(
        query.terms,
        query.fleet,
        query.agents,
        query.kinds,
        since=_time(since, "--since"),
        until=_time(until, "--until"),
        limit=query.limit,
        substring=substring,
    )


def _kind(word: str) -> Kind:
    found = next((kind for kind in KINDS if word.lower() in (kind, f"{kind}s", f"{kind[:-1]}ies")), None)
    if found is None:
        raise ConfigError(f"there is no kind {word!r}", operation="search", hint=f"there are {', '.join(KINDS)}")
    return found


def _time(text: str, option: str) -> datetime | None:
    if not text:
        return None
    try:
        if _RELATIVE.fullmatch(text):
            return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{option} {text!r} is no time", operation="search", hint="such as 2h, 3d, 2026-01-31 or 2026-01-31T14:00"
        ) from None


def _show(found: Found, roots: Mapping[str, Path], as_json: bool) -> None:
    if as_json:
        emit_json({"hits": [_for_programs(hit, roots) for hit in found.hits], "newest_only": found.newest_only})
        return
    out = console()
    for hit in found.hits:
        out.print(_title(hit))
        out.print(Text("  ").append(_text(hit)))
        out.print(Text(f"  {plain_line(target(hit, roots))}", "dim"), soft_wrap=True)
    if not found.hits:
        tell("nothing is found")
    elif found.newest_only:
        tell("this stands in many places: the newest were ranked; more words find less")


def target(hit: Hit, roots: Mapping[str, Path]) -> str:
    """Where a hit is: a file with its line, or the command that shows it."""
    if hit.kind == "memory":
        return f"{hit.path}:{hit.line}"
    place = f" -p {shlex.quote(str(roots[hit.fleet]))}" if hit.fleet in roots else ""
    where = f"--run {shlex.quote(hit.run)}{place}"
    if hit.kind in ("message", "interrupt"):
        return f"skerry {hit.kind}s {shlex.quote(hit.ref)} {where}"
    return f"skerry console {shlex.quote(hit.agent)} --full --turn {hit.turn} {where}"


def _title(hit: Hit) -> Text:
    line = Text(f"{hit.kind} ", "cyan").append(plain_line(hit.agent), "bold").append(f" {clock(hit.at)}", "dim")
    turn = f" turn {hit.turn}" if hit.turn else ""
    ref = f" {hit.ref}" if hit.ref else ""
    return line.append(plain_line(f"{turn}{ref}"), "dim").append(f"  {plain_line(hit.heading)}")


def _text(hit: Hit) -> Text:
    line = Text()
    for part, found in hit.snippet:
        line.append(plain(part).replace("\n", " "), "bold yellow" if found else "")
    line.rstrip()
    return line


def _for_programs(hit: Hit, roots: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "kind": hit.kind,
        "fleet": hit.fleet,
        "run": hit.run,
        "agent": hit.agent,
        "at": hit.at.isoformat(),
        "heading": hit.heading,
        "snippet": [{"text": text, "found": found} for text, found in hit.snippet],
        "path": hit.path or None,
        "line": hit.line or None,
        "turn": hit.turn or None,
        "id": hit.ref or None,
        "target": target(hit, roots),
    }
