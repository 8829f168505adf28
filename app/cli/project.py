"""Commands about a project's files: ``validate`` and ``schema``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from app.cli.output import USAGE, emit_json, say
from app.cli.place import ProjectArgument, project_place
from app.config import SCHEMAS, Complaint, Project, ProjectInvalid, load_project, load_rules, schema_text
from app.domain.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(validate)
    app.command()(schema)


def validate(
    project: ProjectArgument = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result for programs.")] = False,
) -> None:
    """Check a project's files. Nothing is changed."""
    place = project_place(project)
    try:
        loaded = load_project(place)
        _check_rules(loaded)
    except ProjectInvalid as error:
        if not as_json:
            raise
        emit_json({"ok": False, "complaints": [_complaint(item) for item in error.complaints]})
        raise typer.Exit(USAGE) from None
    if as_json:
        emit_json({"ok": True, "complaints": [], **_summary(loaded)})
    else:
        say(_sentence(loaded))


def _check_rules(project: Project) -> None:
    complaints: list[Complaint] = []
    for agent in project.fleet.agents:
        try:
            load_rules(project, agent)
        except ProjectInvalid as error:
            complaints += error.complaints
    if complaints:
        raise ProjectInvalid(list(dict.fromkeys(complaints)))


def _complaint(complaint: Complaint) -> dict[str, Any]:
    return {**asdict(complaint), "file": str(complaint.file)}


def _summary(project: Project) -> dict[str, Any]:
    agents = [
        {"id": agent.id, "type": agent.type, "direct_communication": list(agent.direct_communication)}
        for agent in project.fleet.agents
    ]
    return {"file": str(project.file), "name": project.name, "fleet_id": project.fleet_id, "agents": agents}


def _sentence(project: Project) -> str:
    agents = project.fleet.agents
    edges = [f"{agent.id} → {other}" for agent in agents for other in agent.direct_communication]
    names = ", ".join(f"{agent.id} ({agent.type})" for agent in agents)
    return f"{project.file}: ok\n  agents: {names}\n  direct: {', '.join(edges) or 'none'}"


def schema(
    name: Annotated[str, typer.Argument(help="One of: " + ", ".join(SCHEMAS) + ".")] = "agents",
) -> None:
    """Print a JSON Schema. It belongs to agents.yaml, to a message's envelope or to the front matter of rules.md."""
    if name not in SCHEMAS:
        raise ConfigError(f"there is no schema {name!r}", operation="schema", hint="schemas: " + ", ".join(SCHEMAS))
    sys.stdout.write(schema_text(name))
