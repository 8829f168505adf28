"""What can be known to be missing before anything starts."""

from __future__ import annotations

from app.config import Paths, Project
from app.control import engine_info
from app.domain.errors import ConfigError, HostError
from app.engine.credentials import MissingCredential, missing_credentials


def check_ready(paths: Paths, project: Project, *, rehearsed: bool) -> None:
    """Raise ConfigError for agents this version cannot run, HostError when a model provider's key is missing."""
    from app.runtimes.factory import UnsupportedAgent, make_runtime  # slow: brings the agents' protocol

    for agent in project.fleet.agents:
        try:
            make_runtime(agent.type)
        except UnsupportedAgent as error:
            raise ConfigError(f"{agent.id}: {error.message}", operation="run", hint=error.hint) from None
    if rehearsed:
        return
    missing = missing_credentials(project, engine_runs=engine_info(paths) is not None)
    if missing:
        raise _no_key(missing)


def _no_key(missing: list[MissingCredential]) -> HostError:
    problems = "; ".join(f"{item.problem} (provider {item.provider}, for {', '.join(item.agents)})" for item in missing)
    remedies = "; ".join(item.remedy for item in missing)
    return HostError(
        f"no key for the model: {problems}",
        operation="run",
        hint=f"{remedies}; or try it with a scripted model and no key: skerry run --rehearse",
    )
