"""``skerry agents``: which types of agents there are, and which models run on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from app.cli.output import console, emit_json, plain_line
from app.config import Paths
from app.runtimes.local_models import LocalServer, find_local_models

_SHOWN_MODELS = 5


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    agents = typer.Typer(help="Types of agents.", no_args_is_help=True, rich_markup_mode=None)
    agents.callback()(_group)
    agents.command()(types)
    app.add_typer(agents, name="agents")


def _group() -> None:
    """Types of agents."""


def types(as_json: Annotated[bool, typer.Option("--json", help="The result for programs.")] = False) -> None:
    """List the types of agents: what is installed, in which version, what is missing; and models on this machine."""
    from app.engine.agent_types import agent_types

    reports, servers = agent_types(Paths.from_environment()), find_local_models()
    if as_json:
        listed = [asdict(report) | {"installed": dict(report.installed), "ready": report.ready} for report in reports]
        emit_json({"types": listed, "local_models": [asdict(server) for server in servers]})
        return
    out = console()
    room = max(len(report.type) for report in reports)
    for report in reports:
        state = ("ready", "green") if report.ready else ("missing", "yellow")
        parts = [f"{name} {number}" for name, number in report.installed] or [report.missing]
        out.print(Text.assemble(f"{report.type:<{room}}  ", (f"{state[0]:<7}", state[1]), f"  {', '.join(parts)}"))
        if report.remedy:
            out.print(Text(" " * (room + 11) + f"→ {report.remedy}", "bold"))
    for server in servers:
        out.print(_offer(server))


def _offer(server: LocalServer) -> Text:
    names = ", ".join(server.models[:_SHOWN_MODELS]) or "no model yet"
    more = f" and {len(server.models) - _SHOWN_MODELS} more" if len(server.models) > _SHOWN_MODELS else ""
    head = plain_line(f"{server.kind} {server.version}".strip(), 100)
    words = plain_line(f" runs here: {names}{more}", 400)
    return Text.assemble(
        (head, "bold"), words, "\n  in agents.yaml, for type openai: providers: {", server.provider, "}"
    )
