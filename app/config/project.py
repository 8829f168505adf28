"""A project on disk: finding, loading and preparing the folder that agents.yaml stands in."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from app.config.approvals import with_approvals
from app.config.validation import validate_fleet, validate_rules
from app.domain.errors import ConfigError
from app.domain.fleet import AgentSpec, Fleet
from app.domain.rules import Rules

FILE_NAMES = ("agents.yaml", "agents.json")

_RULES_TEMPLATE = """\
# Rules of {id}

* Work in small steps, and run what you write before you say that it works.
* Keep to your own workspace. What others need to know goes to them as a message.
* Ask the user when a decision is not yours; say which answer you would choose.
* Keep notes in your memory: decisions, open ends, what you would tell your successor.
"""
_MEMORY_TEMPLATE = "# Memory of {id}\n"


@dataclass(frozen=True, slots=True)
class Project:
    """A loaded project. ``root`` is absolute and free of symlinks."""

    root: Path
    fleet: Fleet
    file: Path

    @property
    def name(self) -> str:
        """For people: the project's name, or its folder's."""
        return self.fleet.project.name or self.root.name

    @property
    def fleet_id(self) -> str:
        """Stable and unique on this machine: the name as a word, and six hex digits of the folder's path."""
        word = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:32].strip("-") or "project"
        return f"{word}-{hashlib.sha256(str(self.root).encode()).hexdigest()[:6]}"

    def rules_file(self, agent: AgentSpec) -> Path:
        """The agent's rules, absolute."""
        return self.root / agent.rules_file

    def memory_file(self, agent: AgentSpec) -> Path:
        """The agent's memory, absolute."""
        return self.root / agent.memory_file

    def sandbox_path(self, agent: AgentSpec) -> Path:
        """The host's mirror of the agent's workspace, absolute."""
        return self.root / agent.sandbox_path

    @property
    def repository(self) -> Path | None:
        """The repository the agents start on, absolute; None when there is none."""
        text = self.fleet.project.repository
        return None if text is None else (self.root / Path(text).expanduser()).resolve()


def find_project_file(place: Path) -> Path:
    """The agents.yaml or agents.json of ``place``, a folder or the file itself. Raises ConfigError."""
    if place.is_file():
        return place
    found = [place / name for name in FILE_NAMES if (place / name).is_file()]
    if len(found) > 1:
        raise ConfigError(
            f"{place} has both agents.yaml and agents.json", operation="find the project", hint="remove one of the two"
        )
    if not found:
        what = "has no agents.yaml" if place.is_dir() else "does not exist"
        raise ConfigError(f"{place} {what}", operation="find the project", hint="name a folder that holds one")
    return found[0]


def load_project(place: Path) -> Project:
    """The project in ``place`` (a folder, or its file), with the channels of its approvals.yaml. Nothing is written.

    Raises ProjectInvalid with all complaints, or ConfigError when there is no file to read.
    """
    file = find_project_file(place)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", operation="read the project") from error
    fleet = parse_fleet(raw, file)
    root = file.parent.resolve()
    return Project(root=root, fleet=with_approvals(fleet, root), file=root / file.name)


def parse_fleet(raw: bytes, file: Path) -> Fleet:
    """The fleet in ``raw``, text of ``file`` (which need not be saved yet). Raises ProjectInvalid."""
    return validate_fleet(raw, file)


def load_rules(project: Project, agent: AgentSpec) -> tuple[Rules, str]:
    """The agent's enforced rules and their prose; the template's when there is no file yet.

    Raises ProjectInvalid with all complaints, or ConfigError when the file cannot be read.
    """
    file = project.rules_file(agent)
    if not file.exists():
        return validate_rules(_RULES_TEMPLATE.format(id=agent.id).encode(), file)
    try:
        return validate_rules(file.read_bytes(), file)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", operation="read the rules") from error


def prepare_project(project: Project) -> list[Path]:
    """Create missing rules files, memory files and mirror folders; returns what was made.

    Raises ConfigError when one cannot be made.
    """
    made: list[Path] = []
    try:
        for agent in project.fleet.agents:
            made += _make(project.rules_file(agent), _RULES_TEMPLATE.format(id=agent.id), 0o644)
            made += _make(project.memory_file(agent), _MEMORY_TEMPLATE.format(id=agent.id), 0o600)
            project.sandbox_path(agent).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make {error.filename}: {error.strerror}",
            operation="prepare the project",
            hint="make the project's folder writable for you",
        ) from error
    return made


def _make(file: Path, text: str, mode: int) -> list[Path]:
    if file.exists():
        return []
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as stream:
        file.chmod(mode)
        stream.write(text)
    return [file]
