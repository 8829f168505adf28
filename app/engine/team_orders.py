"""A project's team as workflows and the journal carry it."""

from __future__ import annotations

from collections.abc import Sequence

from app.config import Project
from app.domain.events import AgentDeclared
from app.domain.fleet import STEPWISE_TYPES, AgentSpec
from app.workflows.steps import AgentPlan, ReloadOrder


def plans(declared: Sequence[AgentDeclared]) -> tuple[AgentPlan, ...]:
    """What workflows must know of a team that is on record."""
    return tuple(
        AgentPlan(id=item.id, recipients=item.recipients, indirect=item.indirect, stepwise=item.type in STEPWISE_TYPES)
        for item in declared
    )


def declared(project: Project) -> tuple[AgentDeclared, ...]:
    """The team of a project as the journal tells of it."""
    return tuple(
        AgentDeclared(
            id=agent.id,
            type=agent.type,
            description=agent.description,
            model=agent.model or "",
            recipients=agent.direct_communication,
            indirect=agent.indirect_communication,
            budget=agent.limits.budget,
        )
        for agent in project.fleet.agents
    )


def reload_order(old: Project | None, new: Project) -> ReloadOrder:
    """The order that makes a fleet at work the team of ``new``.

    ``old`` is the project it works with, as far as that is known; it says whose entry, or whose provider, differs.
    """
    team = declared(new)
    before = {} if old is None else {agent.id: (agent, old.fleet.provider_of(agent)) for agent in old.fleet.agents}
    now = {agent.id: (agent, new.fleet.provider_of(agent)) for agent in new.fleet.agents}
    changed = tuple(agent for agent, entry in now.items() if agent in before and before[agent] != entry)
    old_machines = {} if old is None else {agent.id: _machine(agent) for agent in old.fleet.agents}
    new_machines = {agent.id: _machine(agent) for agent in new.fleet.agents}
    later = tuple(agent for agent in changed if old_machines[agent] != new_machines[agent])
    return ReloadOrder(agents=plans(team), changed=changed, later=later, declared=team)


def _machine(agent: AgentSpec) -> object:
    """What a machine that is there already does not take over from a changed agents.yaml."""
    return agent.sandbox, agent.packs, agent.limits.processes, agent.limits.command
