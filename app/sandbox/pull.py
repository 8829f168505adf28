"""An agent's branch into the user's own repository: the branch and nothing else. Blocks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import ActionRefused, NotFound
from app.sandbox.host_git import commit_of, count_commits, git, text
from app.sandbox.repository import AgentRepository, check_repository

_OPERATION = "pull the branch"
_NOTHING = "0" * 40


@dataclass(frozen=True, slots=True)
class Pulled:
    """What became of the user's branch. ``before`` is None when it is new; ``left`` commits of it were replaced."""

    branch: str
    before: str | None
    after: str
    commits: int
    left: int


def pull_branch(repository: AgentRepository, target: Path, *, force: bool = False) -> Pulled:
    """Move the branch of that name in ``target`` forward; its work tree, index and other branches stay as they are.

    Raises NotFound when there is nothing to pull, ActionRefused when commits of the user would be left behind or the
    branch is checked out, ConfigError for a repository that cannot be used.
    """
    base, tip = repository.base, repository.tip
    if base is None or tip is None:
        hint = "its branch is brought out after each of its turns"
        raise NotFound(f"there is no branch {repository.branch} yet", operation=_OPERATION, hint=hint)
    check_repository(target)
    _fetch(repository, target)
    before = commit_of(target, repository.ref, own=False)
    if before is None:
        commits, left = count_commits(target, base, tip, own=False), 0
    else:
        commits = count_commits(target, before, tip, own=False)
        left = count_commits(target, tip, before, own=False)
    if before != tip:
        _check_free(repository, target)
        _check_kept(repository, left, force)
        message = ("-m", "skerry workspace pull", "--create-reflog")
        git("update-ref", *message, repository.ref, tip, before or _NOTHING, repository=target, own=False)
    return Pulled(repository.branch, before, tip, commits, left)


def _fetch(repository: AgentRepository, target: Path) -> None:
    """The objects only: no branch, no FETCH_HEAD, no tags."""
    quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance")
    git("fetch", *quiet, str(repository.folder), repository.ref, repository=target, own=False)


def _check_free(repository: AgentRepository, target: Path) -> None:
    place = text("for-each-ref", "--format=%(worktreepath)", repository.ref, repository=target, own=False)
    if place:
        hint = f"go to another branch there: git -C {place} switch -"
        raise ActionRefused(f"{repository.branch} is checked out in {place}", operation=_OPERATION, hint=hint)


def _check_kept(repository: AgentRepository, left: int, force: bool) -> None:
    if left and not force:
        which = "1 commit" if left == 1 else f"{left} commits"
        raise ActionRefused(
            f"your branch {repository.branch} has {which} that the agent's lacks",
            operation=_OPERATION,
            hint=f"keep yours under another name (git branch -m {repository.branch} NAME), or say --force",
        )
