"""What can be known to be missing before anything starts."""

from __future__ import annotations

from app.config import Paths, Project
from app.control import engine_info
from app.domain.errors import HostError, ImageError
from app.engine.credentials import MissingCredential, missing_credentials
from app.sandbox.licence import Acceptances
from app.sandbox.packs import PackBuilder


def check_ready(paths: Paths, project: Project, *, rehearsed: bool) -> None:
    """Look before anything starts.

    Raises ImageError for a tool pack whose licence was not accepted, HostError when a model provider's key is missing.
    """
    _check_packs(paths, project)
    if rehearsed:
        return
    missing = missing_credentials(project, engine_runs=engine_info(paths) is not None)
    if missing:
        raise _no_key(missing)


def _check_packs(paths: Paths, project: Project) -> None:
    packs = PackBuilder(paths.images, paths.packs, Acceptances(paths.licences_json))
    for agent in project.fleet.agents:
        for name in agent.packs:
            licence = packs.licence(name) if packs.find(name) is None else None
            if licence is not None:
                raise ImageError(
                    f"{agent.id} needs {licence.name}, of {licence.publisher}: its licence was not accepted yet",
                    operation="run",
                    hint=f"skerry image build {name}",
                )


def _no_key(missing: list[MissingCredential]) -> HostError:
    problems = "; ".join(f"{item.problem} (provider {item.provider}, for {', '.join(item.agents)})" for item in missing)
    remedies = "; ".join(item.remedy for item in missing)
    return HostError(
        f"no key for the model: {problems}",
        operation="run",
        hint=f"{remedies}; or try it with a scripted model and no key: skerry run --rehearse",
    )
