"""``skerry workspace pull`` and ``diff``: real git, no engine, no machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.config import Paths, load_project
from app.sandbox.repository import AgentRepository
from tests.cli.conftest import PROJECT, Skerry
from tests.conftest import WriteProject
from tests.sandbox.test_repository import bundle, commit, run


@pytest.fixture
def user(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    run("init", "--quiet", "-b", "main", cwd=folder)
    commit(folder, "a.py", "one\n")
    return folder


@pytest.fixture
def kept(paths: Paths, write_project: WriteProject, user: Path, monkeypatch: pytest.MonkeyPatch) -> AgentRepository:
    """dev-agent has begun on the user's repository; the working folder is the project."""
    folder = write_project(PROJECT.replace("feature-x}", "feature-x, repository: ../repo}"))
    monkeypatch.chdir(folder)
    project = load_project(folder)
    repository = AgentRepository(paths.repository(project.fleet_id, "dev-agent"), "dev-agent")
    repository.begin_from_repository(user)
    return repository


@pytest.fixture
def machine(kept: AgentRepository, user: Path, tmp_path: Path) -> Path:
    """The agent's clone, with a commit whose words are hostile and a change that is not committed."""
    folder = tmp_path / "machine"
    run("clone", "--quiet", str(user), str(folder), cwd=tmp_path)
    run("switch", "--quiet", "-c", "skerry/dev-agent", cwd=folder)
    commit(folder, "b.py", "new \x1b[31mred\x1b[0m\n", "add \x1b]0;owned\x07b")
    kept.take(bundle(folder, "skerry/dev-agent", "^HEAD~1"))
    kept.note_mirrored()
    mirror = Path("agents/dev-agent/sandbox")
    mirror.mkdir(parents=True)
    (mirror / "a.py").write_text("one\ntwo\n")
    (mirror / "b.py").write_text("new \x1b[31mred\x1b[0m\n")
    (mirror / "c\x1b[2J").write_text("x\n")
    return folder


def test_pull_says_what_came_and_what_next(machine: Path, user: Path, kept: AgentRepository, skerry: Skerry) -> None:
    done = skerry("workspace", "pull", "dev-agent")
    assert done.returncode == 0, done.stderr
    assert "skerry/dev-agent: 1 new commit, now at" in done.stdout and f"git -C {user} merge" in done.stdout
    assert run("rev-parse", "skerry/dev-agent", cwd=user) == kept.tip
    assert "is up to date" in skerry("workspace", "pull", "dev-agent").stdout
    found = json.loads(skerry("workspace", "pull", "dev-agent", "--json").stdout)
    assert (found["branch"], found["before"], found["after"], found["commits"]) == (
        "skerry/dev-agent", kept.tip, kept.tip, 0,
    )  # fmt: skip


def test_pull_refuses_to_leave_commits_behind(machine: Path, user: Path, kept: AgentRepository, skerry: Skerry) -> None:
    run("switch", "--quiet", "-c", "skerry/dev-agent", cwd=user)
    own = commit(user, "mine.py", "mine\n")
    assert skerry("workspace", "pull", "dev-agent").complained(1, "checked out in", "switch -")
    run("switch", "--quiet", "main", cwd=user)
    assert skerry("workspace", "pull", "dev-agent").complained(1, "1 commit", "--force")
    forced = skerry("workspace", "pull", "dev-agent", "--force")
    assert f"git branch NAME {own[:12]}" in forced.stdout and run("rev-parse", "main", cwd=user) != own


def test_pull_without_anything_to_pull(kept: AgentRepository, skerry: Skerry) -> None:
    assert skerry("workspace", "pull", "test-agent").complained(1, "no branch skerry/test-agent yet")
    assert "has committed nothing" in skerry("workspace", "pull", "dev-agent").stdout
    assert skerry("workspace", "pull", "dev-agnt").complained(1, "did you mean dev-agent?")


def test_diff_shows_all_of_it_and_steers_nothing(machine: Path, skerry: Skerry) -> None:
    done = skerry("workspace", "diff", "dev-agent")
    assert done.returncode == 0 and "\x1b" not in done.stdout
    for words in ("add b", "A b.py  +1 -0", "+new red", "Not committed:", "M a.py  +1 -0", "+two", "A c"):
        assert words in done.stdout, words
    short = skerry("workspace", "diff", "dev-agent", "--stat").stdout
    assert "M a.py  +1 -0" in short and "+two" not in short
    found = json.loads(skerry("workspace", "diff", "dev-agent", "--json").stdout)
    assert [one["author"] for one in found["commits"]] == ["a"]
    assert [one["path"] for one in found["committed"]["files"]] == ["b.py"]
    assert {one["path"] for one in found["uncommitted"]["files"]} == {"a.py", "c\x1b[2J"}


def test_diff_has_colours_in_a_terminal_only(machine: Path, skerry: Skerry, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm-256color", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = skerry("workspace", "diff", "dev-agent").stdout.splitlines()
    assert "\x1b[32m+two\x1b[0m" in lines
    assert "\x1b[32m+new red\x1b[0m" in lines, "the agent's own colours are gone"


def test_without_a_repository(paths: Paths, write_project: WriteProject, skerry: Skerry) -> None:
    folder = write_project(PROJECT)
    assert skerry("workspace", "pull", "dev-agent", cwd=folder).complained(2, "names no repository", "sandbox")
    assert skerry("workspace", "diff", "dev-agent", cwd=folder).complained(1, "not known what dev-agent began with")
    mirror = folder / "agents" / "dev-agent" / "sandbox"
    mirror.mkdir(parents=True)
    (mirror / "a.py").write_text("one\n")
    AgentRepository(paths.repository(load_project(folder).fleet_id, "dev-agent"), "dev-agent").begin_from_folder(mirror)
    assert skerry("workspace", "diff", "dev-agent").stdout == "dev-agent has changed nothing.\n"
    (mirror / "a.py").write_text("two\n")
    assert "-one" in skerry("workspace", "diff", "dev-agent").stdout
