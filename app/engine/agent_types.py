"""The types of agents: what of each is installed, in which version, and what is missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from app.config import Paths
from app.domain.errors import ImageError
from app.domain.fleet import PACKS_OF_TYPE, STEPWISE_TYPES, AgentType
from app.sandbox.licence import Acceptances
from app.sandbox.packs import PackBuilder


@dataclass(frozen=True, slots=True)
class TypeReport:
    """One type. ``installed`` holds (what, version); ``missing`` says what is not there, ``remedy`` is a command."""

    type: str
    installed: tuple[tuple[str, str], ...] = ()
    missing: str = ""
    remedy: str = ""

    @property
    def ready(self) -> bool:
        """Whether a team with such an agent can be started now."""
        return not self.missing


def agent_types(paths: Paths) -> list[TypeReport]:
    """All types, in the order of agents.yaml's schema."""
    packs = PackBuilder(paths.images, paths.packs, Acceptances(paths.licences_json))
    return [_report(kind, packs, paths.packs) for kind in get_args(AgentType)]


def _report(kind: str, packs: PackBuilder, recipes: Path) -> TypeReport:
    if kind == "acp":
        return TypeReport(kind, installed=(("Agent Client Protocol", version("agent-client-protocol")),))
    if kind in STEPWISE_TYPES:
        return TypeReport(kind, installed=((f"{kind} SDK", version(kind)),))
    installed: list[tuple[str, str]] = []
    for name in PACKS_OF_TYPE.get(kind, ()):
        try:
            pack = packs.find(name)
        except ImageError as error:
            return TypeReport(kind, missing=error.message, remedy=error.hint)
        if pack is None:
            licence = packs.licence(name)
            words = f"the tool pack {name} is not built"
            words += f"; its licence ({licence.publisher}) is to be accepted first" if licence is not None else ""
            return TypeReport(kind, missing=words, remedy=f"skerry image build --pack {name}")
        installed += _packages(pack.folder / "manifest.json", recipes / name / "package.json")
    return TypeReport(kind, installed=tuple(installed))


def _packages(manifest: Path, recipe: Path) -> list[tuple[str, str]]:
    """The packages that a recipe names, as they were installed."""
    found = json.loads(manifest.read_text("utf-8")).get("packages", {})
    wanted = json.loads(recipe.read_text("utf-8")).get("dependencies", {})
    return [(name, str(found[name])) for name in wanted if name in found]
