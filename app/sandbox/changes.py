"""What an agent changed, as git tells it: its commits, and what its mirror has besides. Everything blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.sandbox.host_git import git
from app.sandbox.repository import AgentRepository, scratch_index

_COMMITS_SHOWN = 1000
_PATCH_BYTES = 32 * 2**20
_DIFF = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--ignore-submodules=all", "--full-index")
_STATES = {"A": "added", "D": "removed", "M": "changed", "T": "of another kind"}
_FIELD = "%x1f"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the agent; ``date`` is in ISO 8601, as the agent's machine had it."""

    id: str
    date: str
    author: str
    subject: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file; lines ``added`` and ``removed`` are None for what is not text."""

    path: str
    state: str
    added: int | None
    removed: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Between two states of the files."""

    files: tuple[FileChange, ...]
    patch: str


@dataclass(frozen=True, slots=True)
class Work:
    """All an agent changed since ``base``. ``uncommitted`` is None until its workspace was brought out."""

    base: str
    tip: str
    commits: tuple[Commit, ...]
    committed: Changes
    uncommitted: Changes | None


def work_of(repository: AgentRepository, mirror: Path, *, patch: bool = True) -> Work | None:
    """What the agent changed; None when nothing is known of what it started from. Raises GitFailed."""
    base = repository.base
    if base is None:
        return None
    tip = repository.tip or base
    committed = _changes(repository.folder, base, tip, {}, patch)
    uncommitted = _uncommitted(repository, tip, mirror, patch) if repository.mirrored and mirror.is_dir() else None
    return Work(base, tip, tuple(_commits(repository.folder, base, tip)), committed, uncommitted)


def _uncommitted(repository: AgentRepository, tip: str, mirror: Path, patch: bool) -> Changes:
    with scratch_index(repository.folder) as env:
        git("read-tree", tip, repository=repository.folder, env=env)
        git("add", "--all", ".", repository=repository.folder, work_tree=mirror, env=env)
        tree = git("write-tree", repository=repository.folder, env=env).decode().strip()
        return _changes(repository.folder, tip, tree, env, patch)


def _commits(repository: Path, base: str, tip: str) -> Iterator[Commit]:
    form = _FIELD.join(("%H", "%aI", "%an", "%s"))
    options = ("-z", f"--max-count={_COMMITS_SHOWN}", f"--format={form}", "--no-show-signature", "--no-mailmap")
    for line in _words(git("log", *options, f"{base}..{tip}", repository=repository)):
        oid, date, author, subject = [*line.split("\x1f", 3), "", "", ""][:4]
        yield Commit(oid, date, author, subject)


def _changes(repository: Path, old: str, new: str, env: dict[str, str], patch: bool) -> Changes:
    def diff(*options: str) -> bytes:
        return git("diff", *_DIFF, *options, old, new, "--", repository=repository, env=env, limit=_PATCH_BYTES)

    states = iter(_words(diff("-z", "--name-status")))
    state_of = {path: _STATES.get(state[:1], state) for state, path in zip(states, states, strict=False)}
    files: list[FileChange] = []
    for line in _words(diff("-z", "--numstat")):
        added, removed, path = line.split("\t", 2)
        files.append(FileChange(path, state_of.get(path, "changed"), _number(added), _number(removed)))
    return Changes(tuple(files), diff("--patch").decode("utf-8", "replace") if patch else "")


def _words(output: bytes) -> list[str]:
    return [word.decode("utf-8", "replace") for word in output.split(b"\0") if word]


def _number(word: str) -> int | None:
    return int(word) if word.isdigit() else None
