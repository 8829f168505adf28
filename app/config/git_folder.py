"""Whether ``project.repository`` names a git repository that agents may start from; git itself is not run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.domain.topology import Problem

_LOC = ("project", "repository")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://|[^/\s]+@[^/\s]+:")


def repository_problems(data: Mapping[str, Any], root: Path) -> Iterator[Problem]:
    """What is wrong with the repository of ``data``, agents' paths filled in; ``root`` is the project's folder."""
    project = data.get("project")
    given = project.get("repository") if isinstance(project, Mapping) else None
    if isinstance(given, str) and (words := _wrong(given, root) or _inside_mirror(given, data.get("agents"), root)):
        yield Problem(_LOC, words, given)


def _wrong(given: str, root: Path) -> str:
    if not given.strip() or "\0" in given:
        return "expected the folder of a git repository"
    if _ADDRESS.match(given):
        return f"expected a folder of this machine; clone it first: git clone {given}"
    folder = _folder(given, root)
    if not folder.exists():
        return f"there is no folder {folder}"
    if not folder.is_dir():
        return f"{folder} is a file; expected the folder of a git repository"
    if _is_repository(folder):
        return ""
    if (above := next((place for place in folder.parents if _is_repository(place)), None)) is not None:
        return f"{folder} is inside the git repository {above}; name that"
    return f"{folder} is no git repository; make it one (git init, git commit) or name another"


def _inside_mirror(given: str, agents: object, root: Path) -> str:
    """What an agent wrote must never become a repository that git works on here."""
    folder = _folder(given, root)
    for agent in agents if isinstance(agents, list) else []:
        path = agent.get("sandbox_path") if isinstance(agent, dict) else None
        if isinstance(path, str) and "\0" not in path:
            mirror = (root / path).resolve()
            if mirror in (folder, *folder.parents):
                return f"{folder} lies in the sandbox_path of {agent.get('id')}, which the agent writes to"
    return ""


def _folder(given: str, root: Path) -> Path:
    return (root / Path(given).expanduser()).resolve()


def _is_repository(folder: Path) -> bool:
    """A work tree, a linked work tree (there ``.git`` is a file) or a bare repository."""
    bare = all((folder / name).exists() for name in ("HEAD", "objects", "refs"))
    return bare or (folder / ".git").exists()
