"""At its start the engine compares the machines of this host with the agents of its journal.

Careful: a machine's disk holds an agent's work. What belongs to the newest run of a project is kept whether that run
goes on or not; what belongs to a fleet the journal does not know is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from app.activities.crew import LOST_REMEDY
from app.activities.member import machine_name
from app.domain import events as ev
from app.domain.errors import SkerryError
from app.domain.events import ENDED
from app.domain.machines import Reconciliation
from app.domain.ports import SandboxHost
from app.store.journal import Journal
from app.workflows import steps

log = logging.getLogger(__name__)

_UP = frozenset({"ready", "paused", "suspended"})


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose machine it is."""

    fleet: str
    run: str
    agent: str


@dataclass(slots=True)
class Claims:
    """Which machines belong to whom, and which of them should be up."""

    owners: dict[str, Owner] = field(default_factory=dict)
    expected: set[str] = field(default_factory=set)
    fleets: set[str] = field(default_factory=set)

    def strangers(self, names: Iterable[str]) -> set[str]:
        """Those of ``names`` that are an agent's, of a fleet nobody knows."""
        fleets = {name: name.rpartition(".")[0] for name in names}
        return {name for name, fleet in fleets.items() if fleet and fleet not in self.fleets}


async def reconcile(host: SandboxHost, journal: Journal, client: Client, machines: Path) -> None:
    """Remove what nobody can use any more, put on record what was removed and what was lost.

    ``machines`` is the folder with one folder a machine. A failure is logged: the engine works without.
    """
    try:
        claims = await _claims(journal, client)
        strangers = claims.strangers({*await host.names(), *_folders(machines)})
        for name in sorted(strangers):
            log.warning("%s belongs to no run the journal knows: left alone; 'skerry remove %s' removes it", name, name)
        found = await host.reconcile(keep={*claims.owners, *strangers}, expected=claims.expected)
    except Exception as error:  # whatever journal or host do, agents must be able to go on
        words = "machines were not compared with the agents: %s"
        log.error(words, error, exc_info=not isinstance(error, SkerryError))
        return
    _record(found, claims, journal)


async def _claims(journal: Journal, client: Client) -> Claims:
    claims = Claims()
    for started in journal.newest_runs():
        claims.fleets.add(started.fleet)
        going_on = await _goes_on(client, started)
        for agent in started.agents:
            owner = Owner(started.fleet, started.run, agent.id)
            name = machine_name(owner.fleet, owner.agent)
            claims.owners[name] = owner
            if going_on and _should_be_up(journal, owner):
                claims.expected.add(name)
    return claims


async def _goes_on(client: Client, started: ev.RunStarted) -> bool:
    """Whether Temporal works on that run. When it does not say so, nothing is expected of the run's machines."""
    try:
        description = await client.get_workflow_handle(steps.fleet_workflow_id(started.fleet)).describe()
        return description.close_time is None and str((await description.memo()).get("run")) == started.run
    except RPCError:
        return False


def _should_be_up(journal: Journal, owner: Owner) -> bool:
    where = {"fleet": owner.fleet, "run": owner.run, "agent": owner.agent}
    moved, machine = journal.last("agent_moved", **where), journal.last("sandbox_changed", **where)
    lives = isinstance(moved, ev.AgentMoved) and moved.state not in ENDED
    return lives and isinstance(machine, ev.SandboxChanged) and machine.state in _UP


def _folders(machines: Path) -> Collection[str]:
    return {entry.name for entry in machines.iterdir() if entry.is_dir()} if machines.is_dir() else set()


def _record(found: Reconciliation, claims: Claims, journal: Journal) -> None:
    now = datetime.now(UTC)
    stamp = f"{now:%Y%m%d%H%M%S%f}"
    for item in found.removed:
        log.info("removed %s %s: %s", item.what, item.name, item.why)
    for name in found.lost:
        owner = claims.owners[name]
        log.warning("the machine %s is gone", name)
        fact = ev.SandboxChanged(
            id=f"{owner.run}/{owner.agent}/machine/lost/{stamp}",
            at=now,
            fleet=owner.fleet,
            run=owner.run,
            agent=owner.agent,
            state="lost",
            note=f"its machine was gone when the engine started: {LOST_REMEDY}",
        )
        journal.append(fact)
    removed = tuple((item.what, item.name, item.why) for item in found.removed)
    journal.append(
        ev.HostReconciled(
            id=f"host/reconciled/{stamp}", at=now, living=tuple(found.living), lost=tuple(found.lost), removed=removed
        )
    )
