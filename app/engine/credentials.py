"""Whether the keys a team needs can be had, asked before anything starts. No key leaves this module."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import Project
from app.domain.errors import GatewayError
from app.domain.fleet import Fleet
from app.gateway.keyring import resolve


@dataclass(frozen=True, slots=True)
class MissingCredential:
    """A provider whose key cannot be had: which agents need it, what is wrong, and the remedy."""

    provider: str
    reference: str
    agents: tuple[str, ...]
    problem: str
    remedy: str


def missing_credentials(project: Project, *, engine_runs: bool = False) -> list[MissingCredential]:
    """What is missing for the project's agents to reach their models; empty when all is there.

    An engine that runs already has an environment of its own: then ``env:`` references are not judged by ours. May
    block: the keyring may ask the user.
    """
    found = []
    for provider in dict.fromkeys(agent.provider_name for agent in project.fleet.agents):
        reference = project.fleet.providers[provider].credential
        if reference is None or (engine_runs and reference.startswith("env:")):
            continue
        try:
            resolve(reference)
        except GatewayError as error:
            agents = _who_needs(project.fleet, provider)
            found.append(MissingCredential(provider, reference, agents, error.message, _remedy(reference, error)))
    return found


def _remedy(reference: str, error: GatewayError) -> str:
    kind, _, name = reference.partition(":")
    # The gateway speaks of an engine that runs; here none does, and it will get our environment.
    return f"export {name}=… and try again" if kind == "env" else error.hint


def _who_needs(fleet: Fleet, provider: str) -> tuple[str, ...]:
    return tuple(agent.id for agent in fleet.agents if agent.provider_name == provider)
