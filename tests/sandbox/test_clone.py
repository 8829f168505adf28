"""A repository into a real machine and its branch out again, whatever the machine sends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.activities.workspaces import Workspaces
from app.config import Paths, load_project, prepare_project
from app.domain.errors import SandboxError
from app.sandbox.clone import bring_branch_out, clone_into
from app.sandbox.pull import pull_branch
from app.sandbox.repository import AgentRepository, BundleRefused
from tests.conftest import WriteProject
from tests.sandbox.conftest import Bench
from tests.sandbox.test_repository import commit, run

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]


async def inside(bench: Bench, command: str) -> str:
    result = await bench.sandbox.run(command, timeout=120)
    assert result.exit_status == 0, result.output.decode()
    return result.output.decode().strip()


@pytest.fixture
async def kept(bench: Bench, tmp_path: Path) -> AgentRepository:
    """The agent's repository, cloned into the machine's empty workspace."""
    await bench.sandbox.run("find /workspace -mindepth 1 -delete", timeout=60, user="root")
    user = tmp_path / "user"
    user.mkdir()
    run("init", "--quiet", "-b", "main", cwd=user)
    (user / "large").write_bytes(os.urandom(5 * 2**20))
    commit(user, "a.py", "one\n")
    commit(user, "a.py", "two\n")
    repository = AgentRepository(tmp_path / "state" / "dev.git", "dev")
    repository.begin_from_repository(user)
    await clone_into(bench.sandbox, repository, "dev")
    return repository


async def test_a_repository_goes_in_and_its_branch_comes_out(
    bench: Bench, kept: AgentRepository, tmp_path: Path
) -> None:
    told = await inside(
        bench, "git status --short --branch; git log --format=%s; cat a.py; ls /var/tmp; stat -c %U .git"
    )
    assert told.split() == ["##", "skerry/dev", "work", "work", "two", "agent"]
    assert await bring_branch_out(bench.sandbox, kept) is False, "nothing is new"

    await inside(bench, "echo new > b.py; git add b.py; git commit -qm 'add b'; echo more >> b.py")
    assert await bring_branch_out(bench.sandbox, kept) is True
    assert await bring_branch_out(bench.sandbox, kept) is False
    user = tmp_path / "user"
    pulled = pull_branch(kept, user)
    assert pulled.commits == 1 and run("show", "skerry/dev:b.py", cwd=user) == "new"
    assert run("log", "-1", "--format=%an <%ae>", "skerry/dev", cwd=user) == "dev <dev@skerry>"
    assert run("status", "--short", "--branch", cwd=user) == "## main"
    report = await bench.sandbox.mirror_workspace(tmp_path / "mirror")
    assert not report.refused and not (tmp_path / "mirror" / ".git").exists()
    assert (tmp_path / "mirror" / "b.py").read_text() == "new\nmore\n"

    await bench.sandbox.write_files("/workspace/.inbox/m-1", {"table.txt": b"1 2\n"})
    assert await inside(bench, "git status --short") == "M b.py", "what messages brought is no work"
    await inside(bench, "git add --all && git commit -qm more")
    assert await inside(bench, "git ls-files .inbox; cat .inbox/m-1/table.txt") == "1 2"
    await inside(bench, "git reset -q --mixed HEAD~1")

    # the agent takes its commit back, and makes others
    await inside(bench, "git reset -q --hard HEAD~1")
    assert await bring_branch_out(bench.sandbox, kept) and kept.tip == kept.base
    await inside(bench, "git commit -q --amend -m 'other history'")
    assert await bring_branch_out(bench.sandbox, kept) and kept.commits() == 1


async def test_from_agents_yaml_to_the_users_branch(
    bench: Bench, paths: Paths, write_project: WriteProject, tmp_path: Path
) -> None:
    """What the activities do at a run's start and after a turn, then the command line with no engine."""
    await bench.sandbox.run("find /workspace -mindepth 1 -delete", timeout=60, user="root")
    user = tmp_path / "repo"
    user.mkdir()
    run("init", "--quiet", "-b", "main", cwd=user)
    commit(user, "a.py", "one\n")
    project = load_project(write_project("project: {repository: ../repo}\nagents:\n  - {id: dev, type: codex}\n"))
    spec, workspaces = project.fleet.agent("dev"), Workspaces(paths)
    prepare_project(project)
    await workspaces.seed(bench.sandbox, project, spec)
    await inside(bench, "echo new > b.py; git add b.py; git commit -qm 'add b'; echo unfinished > c.py")
    report = await workspaces.bring_out(bench.sandbox, project, spec)
    assert (report.files, report.refused) == (3, ())

    def skerry(*words: str) -> str:
        command = [sys.executable, "-m", "app", "workspace", *words, "-p", str(project.root)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    diff = await asyncio.to_thread(skerry, "diff", "dev")
    assert "add b" in diff and "A b.py  +1 -0" in diff and "+unfinished" in diff
    assert "1 new commit" in await asyncio.to_thread(skerry, "pull", "dev")
    assert run("show", "skerry/dev:b.py", cwd=user) == "new" and not (user / "b.py").exists()


async def test_a_hostile_machine_is_refused_and_nothing_is_lost(
    bench: Bench, kept: AgentRepository, tmp_path: Path
) -> None:
    await inside(bench, "echo new > b.py; git add b.py; git commit -qm 'add b'")
    assert await bring_branch_out(bench.sandbox, kept)
    good = kept.tip
    fake = "/usr/local/bin/git"
    tip = "case $* in *rev-parse*) echo 1111111111111111111111111111111111111111;; *bundle*) {};; esac"
    out = "/var/tmp/skerry-branch.bundle"
    tricks = {
        f"head -c 100000 /dev/urandom > {out}": "no git bundle",
        f"truncate -s 3000000000 {out}": "are allowed",
        f"/usr/bin/git branch -f x HEAD; /usr/bin/git bundle create -q {out} x": "and nothing else",
        f"ln -sf /dev/zero {out}": "not there",
        f"mkfifo {out}": "not there",
        "true": "not there",
        "echo broken >&2; exit 3": "broken",
    }
    try:
        for trick, words in tricks.items():
            await inside(bench, f"rm -f {out}")
            await bench.sandbox.write_file(
                fake, f"#!/bin/bash\n{tip.format(trick)}\n".encode(), mode=0o755, user="root"
            )
            with pytest.raises(BundleRefused, match=words):
                await bring_branch_out(bench.sandbox, kept)
            assert kept.tip == good
        await bench.sandbox.write_file(fake, b"#!/bin/sh\necho ../../etc/passwd\n", mode=0o755, user="root")
        with pytest.raises(BundleRefused, match="no branch"):
            await bring_branch_out(bench.sandbox, kept)
    finally:
        await inside(bench, f"sudo rm -f {fake} {out}")
    await inside(bench, "rm -rf .git")
    with pytest.raises(BundleRefused, match="no branch"):
        await bring_branch_out(bench.sandbox, kept)
    assert pull_branch(kept, tmp_path / "user").after == good


async def test_a_file_that_is_too_large_or_not_there(bench: Bench, tmp_path: Path) -> None:
    await inside(bench, "truncate -s 1T /tmp/sparse; echo small > /tmp/small")
    with pytest.raises(SandboxError, match="are allowed"):
        await bench.sandbox.receive_file("/tmp/sparse", tmp_path / "x", limit=2**30)
    with pytest.raises(SandboxError, match="not there"):
        await bench.sandbox.receive_file("/tmp/nothing", tmp_path / "x", limit=100)
    assert await bench.sandbox.receive_file("/tmp/small", tmp_path / "x", limit=6) == 6
    assert (tmp_path / "x").read_text() == "small\n"
