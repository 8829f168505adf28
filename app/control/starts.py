"""What a run begins with and what a reload changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from app.config import Project
from app.domain import events as ev
from app.domain.fleet import Fleet
from app.engine.team_orders import declared, plans
from app.store.journal import Journal
from app.workflows.state import FleetRun


def fleet_start(project: Project, run: str, rehearse: str | None) -> FleetRun:
    """What the fleet's workflow begins with."""
    return FleetRun(
        fleet=project.fleet_id,
        run=run,
        project=project.name,
        project_file=str(project.file),
        rehearsal=rehearse or "",
        agents=plans(declared(project)),
    )


def run_started(project: Project, run: str, rehearse: str | None) -> ev.RunStarted:
    """The run's first fact."""
    return ev.RunStarted(
        id=f"{run}/started",
        at=datetime.now(UTC),
        fleet=project.fleet_id,
        run=run,
        project=project.name,
        root=str(project.root),
        agents=declared(project),
        rehearsal=Path(rehearse).stem if rehearse else "",
    )


def keep_team(journal: Journal, fact_id: str, project: Project) -> None:
    """Keep the team as agents.yaml had it when the fact was recorded, to know at a reload whose entry differs."""
    journal.put_body(_team_body(fact_id), project.fleet)


def kept_team(journal: Journal, project: Project, run: str) -> Project | None:
    """The project that the run works with; None when that is not on record."""
    newest = journal.last("fleet_reloaded", fleet=project.fleet_id, run=run)
    fleet = journal.find_body(_team_body(f"{run}/started" if newest is None else newest.id), Fleet)
    return None if fleet is None else Project(root=project.root, fleet=fleet, file=project.file)


def _team_body(fact_id: str) -> str:
    return f"team/{fact_id}"
