"""Which repositories a project may name, and where the complaint points."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.config import ProjectInvalid, load_project
from tests.conftest import WriteProject

ONE = "agents:\n  - id: dev-agent\n    type: codex\n"


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Folders beside the project."""
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "bare"], check=True)
    subprocess.run(["git", "init", "-q", tmp_path / "good"], check=True)
    (tmp_path / "good" / "below").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".git").write_text("gitdir: ../good/.git/worktrees/linked\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "project" / "agents" / "dev-agent" / "sandbox" / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "project" / "code" / ".git").mkdir(parents=True)
    return tmp_path


def project_with(write_project: WriteProject, repository: str) -> Path:
    return write_project(f'project:\n  name: x\n  repository: "{repository}"\n{ONE}')


@pytest.mark.parametrize("repository", ["../good", "../bare", "../linked", "code", "../empty/../good/."])
def test_repositories_that_serve(places: Path, write_project: WriteProject, repository: str) -> None:
    folder = project_with(write_project, repository)
    assert load_project(folder).repository == (folder / repository).resolve()


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ("../nowhere", "there is no folder"),
        ("../empty", "is no git repository"),
        ("../file", "is a file"),
        ("../good/below", "is inside the git repository"),
        ("https://example.org/x.git", "clone it first"),
        ("git@example.org:x.git", "clone it first"),
        ("", "expected the folder"),
        ("agents/dev-agent/sandbox/sub", "lies in the sandbox_path of dev-agent"),
    ],
)
def test_repositories_that_do_not(places: Path, write_project: WriteProject, repository: str, words: str) -> None:
    with pytest.raises(ProjectInvalid) as caught:
        load_project(project_with(write_project, repository))
    [complaint] = caught.value.complaints
    assert (complaint.line, complaint.path) == (3, "project.repository") and words in complaint.message
