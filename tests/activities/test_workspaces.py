"""How a workspace begins and comes out, with real git; the machine is a folder of this host behind a fake sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import Client

from app.activities.workspaces import Workspaces
from app.config import Paths, Project, load_project
from app.domain import events as ev
from app.domain.errors import ConfigError, SandboxError, SandboxLost
from app.domain.events import AgentStatus
from app.domain.machines import CommandResult
from app.sandbox.changes import work_of
from app.testing import FakeSandbox, succeeded
from tests.conftest import WriteProject
from tests.sandbox.test_repository import commit, run
from tests.team import Team, Turn

ONE = "agents:\n  - {id: dev, type: codex}\n"
OUT = "/var/tmp/skerry-branch.bundle"


class GitMachine:
    """Answers the commands of a clone as a machine with git would; ``folder`` is its workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sandbox = folder, FakeSandbox("m", self.answer)

    def answer(self, command: str) -> CommandResult:
        if "git init" in command:
            seed = self.folder.parent / "seed"
            seed.write_bytes(self.sandbox.files["/var/tmp/skerry-seed.bundle"])
            self.folder.mkdir()
            run("init", "--quiet", "-b", "skerry/dev", cwd=self.folder)
            run("fetch", "--quiet", str(seed), "refs/skerry/base", cwd=self.folder)
            run("reset", "--quiet", "--hard", "FETCH_HEAD", cwd=self.folder)
        if "rev-parse" in command:
            return succeeded(run("rev-parse", "skerry/dev", cwd=self.folder))
        if "bundle create" in command:
            out = self.folder.parent / "out"
            run("bundle", "create", "--quiet", str(out), "skerry/dev", "^HEAD~1", cwd=self.folder)
            self.sandbox.files[OUT] = out.read_bytes()
        return succeeded()


@pytest.fixture
def user(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    run("init", "--quiet", "-b", "main", cwd=folder)
    commit(folder, "a.py", "one\n")
    return folder


@pytest.fixture
def project(user: Path, write_project: WriteProject) -> Project:
    return load_project(write_project("project: {repository: ../repo}\n" + ONE))


async def test_with_a_repository_the_clone_goes_in_and_the_mirror_only_out(
    paths: Paths, project: Project, tmp_path: Path
) -> None:
    spec, workspaces, machine = project.fleet.agent("dev"), Workspaces(paths), GitMachine(tmp_path / "machine")
    mirror = project.sandbox_path(spec)
    mirror.mkdir(parents=True)
    (mirror / "left").write_text("by an earlier run")
    await workspaces.seed(machine.sandbox, project, spec)
    assert (machine.folder / "a.py").read_text() == "one\n"
    assert not [path for path in machine.sandbox.files if path.startswith("/workspace")], "nothing of the mirror"
    assert (await workspaces.bring_out(machine.sandbox, project, spec)).refused == ()
    tip = commit(machine.folder, "b.py", "new\n")
    await workspaces.bring_out(machine.sandbox, project, spec)
    assert workspaces.repository(project, spec).tip == tip


async def test_a_branch_that_is_refused_does_not_keep_files_in(paths: Paths, project: Project, tmp_path: Path) -> None:
    spec, workspaces, machine = project.fleet.agent("dev"), Workspaces(paths), GitMachine(tmp_path / "machine")
    await workspaces.seed(machine.sandbox, project, spec)
    machine.sandbox.files["/workspace/made"] = b"x"
    run("checkout", "--quiet", "--orphan", "other", cwd=machine.folder)
    run("branch", "--quiet", "-D", "skerry/dev", cwd=machine.folder)
    machine.sandbox._answering = lambda command: succeeded("nonsense\n")
    report = await workspaces.bring_out(machine.sandbox, project, spec)
    assert report.files == 1
    assert report.refused == (("branch skerry/dev", "the machine has no branch skerry/dev"),)
    machine.sandbox.lost = True
    with pytest.raises(SandboxLost):
        await workspaces.bring_out(machine.sandbox, project, spec)


async def test_a_repository_that_cannot_be_used_is_a_mistake_of_the_project(
    paths: Paths, project: Project, user: Path, tmp_path: Path
) -> None:
    run("checkout", "--quiet", "--orphan", "empty", cwd=user)
    spec, machine = project.fleet.agent("dev"), GitMachine(tmp_path / "machine")
    with pytest.raises(ConfigError, match="no commits yet"):
        await Workspaces(paths).seed(machine.sandbox, project, spec)


async def test_without_a_repository_the_files_go_in_and_are_remembered(
    paths: Paths, write_project: WriteProject, tmp_path: Path
) -> None:
    project = load_project(write_project(ONE))
    spec, workspaces, sandbox = project.fleet.agent("dev"), Workspaces(paths), FakeSandbox("m")
    mirror = project.sandbox_path(spec)
    mirror.mkdir(parents=True)
    (mirror / "a.py").write_text("one\n")
    await workspaces.seed(sandbox, project, spec)
    assert sandbox.files["/workspace/a.py"] == b"one\n" and sandbox.commands == []
    sandbox.files["/workspace/a.py"] = b"two\n"
    await workspaces.bring_out(sandbox, project, spec)
    work = work_of(workspaces.repository(project, spec), mirror)
    assert work is not None and work.uncommitted is not None
    assert [(one.path, one.added, one.removed) for one in work.uncommitted.files] == [("a.py", 1, 1)]


async def test_a_seed_that_git_cannot_take_only_costs_the_comparison(paths: Paths, write_project: WriteProject) -> None:
    project = load_project(write_project(ONE))
    spec, sandbox = project.fleet.agent("dev"), FakeSandbox("m")
    mirror = project.sandbox_path(spec)
    (mirror / "nested" / ".git").mkdir(parents=True)
    run("init", "--quiet", cwd=mirror / "nested")
    (mirror / "a.py").write_text(json.dumps("one"))
    await Workspaces(paths).seed(sandbox, project, spec)
    assert "/workspace/a.py" in sandbox.files


async def test_a_team_on_a_repository_is_cloned_once_however_often_its_machine_breaks(
    paths: Paths, temporal: Client
) -> None:
    source, broken = paths.state / "repo", [True]
    source.mkdir()
    run("init", "--quiet", "-b", "main", cwd=source)
    commit(source, "a.py", "one\n")

    async def script(turn: Turn) -> None:
        if broken and broken.pop():
            raise SandboxError("the channel broke", operation="test")
        await turn.call("finish", summary="done")

    text = "project: {repository: ../repo}\nagents:\n  - {id: alice, type: codex}\n"
    async with Team(paths, temporal, script, text=text) as team:
        await team.start()
        assert (await team.until(lambda board: board.outcome != "")).outcome == "completed"
        (machine,) = team.host.machines.values()
        assert sum("git init" in command for command in machine.commands) == 1
        assert len(team.turns) == 2, "the turn was taken up again on the same disk"
        (fact,) = team.facts(ev.WorkspaceMirrored)
        assert fact.refused == (("branch skerry/alice", "the machine has no branch skerry/alice"),)


async def test_a_repository_that_went_away_does_not_cost_the_old_machine(paths: Paths, temporal: Client) -> None:
    source = paths.state / "repo"
    source.mkdir()
    run("init", "--quiet", "-b", "main", cwd=source)

    async def script(turn: Turn) -> None:
        raise AssertionError("no turn is begun")

    text = "project: {repository: ../repo}\nagents:\n  - {id: alice, type: codex}\n"
    async with Team(paths, temporal, script, text=text) as team:
        team.host.machines[f"{team.fleet}.alice"] = FakeSandbox("old")
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.FAILED)
        assert "has no commits yet" in board.agents["alice"].reason
        assert team.host.machines[f"{team.fleet}.alice"].name == "old"
