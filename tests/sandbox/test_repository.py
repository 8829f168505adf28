"""The bare repository of an agent, with real git; the machine's part is played by a clone on this host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from app.domain.errors import ActionRefused, ConfigError, NotFound, SkerryError
from app.sandbox.changes import work_of
from app.sandbox.host_git import GitFailed, git
from app.sandbox.pull import pull_branch
from app.sandbox.repository import AgentRepository, BundleRefused

WHO = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@a",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@a",
}


def run(*arguments: str, cwd: Path, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, env={**os.environ, **WHO}, input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def commit(folder: Path, name: str, text: str, message: str = "work") -> str:
    (folder / name).write_text(text)
    run("add", "--all", cwd=folder)
    run("commit", "--quiet", "-m", message, cwd=folder)
    return run("rev-parse", "HEAD", cwd=folder)


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """The user's repository, with two commits and something unfinished."""
    folder = tmp_path / "user"
    folder.mkdir()
    run("init", "--quiet", "-b", "main", cwd=folder)
    commit(folder, "a.py", "one\n")
    commit(folder, "a.py", "one\ntwo\n")
    (folder / "unfinished").write_text("mine")
    return folder


@pytest.fixture
def kept(tmp_path: Path, user: Path) -> AgentRepository:
    repository = AgentRepository(tmp_path / "state" / "dev.git", "dev")
    repository.begin_from_repository(user)
    return repository


@pytest.fixture
def machine(tmp_path: Path, kept: AgentRepository) -> Path:
    """The agent's clone, made as the machine makes it."""
    folder, seed = tmp_path / "machine", tmp_path / "seed.bundle"
    kept.write_bundle(seed)
    folder.mkdir()
    run("init", "--quiet", "-b", "skerry/dev", cwd=folder)
    run("fetch", "--quiet", str(seed), "refs/skerry/base", cwd=folder)
    run("reset", "--quiet", "--hard", "FETCH_HEAD", cwd=folder)
    return folder


def bundle(machine: Path, *arguments: str) -> Path:
    file = machine.parent / "out.bundle"
    run("bundle", "create", "--quiet", str(file), *(arguments or ("skerry/dev", "^HEAD~1")), cwd=machine)
    return file


def state(folder: Path) -> dict[str, bytes]:
    """Everything of the user's repository but objects and logs."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"objects", "logs"} & set(path.parts)
    }


def test_a_branch_goes_out_and_into_the_users_repository(kept: AgentRepository, machine: Path, user: Path) -> None:
    assert (machine / "a.py").read_text() == "one\ntwo\n" and not (machine / "unfinished").exists()
    assert run("rev-list", "--count", "HEAD", cwd=machine) == "2", "the whole history"
    with pytest.raises(NotFound):
        pull_branch(AgentRepository(kept.folder.with_name("nobody"), "dev"), user)
    tip = commit(machine, "b.py", "new\n", "add b")
    kept.take(bundle(machine))
    assert kept.tip == tip and kept.commits() == 1

    before = state(user)
    pulled = pull_branch(kept, user)
    assert (pulled.before, pulled.after, pulled.commits, pulled.left) == (None, tip, 1, 0)
    after = state(user)
    assert after.pop(".git/refs/heads/skerry/dev").decode().strip() == tip
    assert after == before, "neither work tree nor index nor another branch"
    again = pull_branch(kept, user)
    assert (again.before, again.commits) == (tip, 0)


def test_commits_of_the_user_are_not_left_behind(kept: AgentRepository, machine: Path, user: Path) -> None:
    commit(machine, "b.py", "new\n")
    kept.take(bundle(machine))
    run("switch", "--quiet", "-c", "skerry/dev", cwd=user)
    own = commit(user, "c.py", "the user's\n")
    with pytest.raises(ActionRefused, match="checked out"):
        pull_branch(kept, user, force=True)
    run("switch", "--quiet", "main", cwd=user)
    with pytest.raises(ActionRefused, match="has 1 commit that the agent's lacks"):
        pull_branch(kept, user)
    assert run("rev-parse", "skerry/dev", cwd=user) == own
    pulled = pull_branch(kept, user, force=True)
    assert (pulled.before, pulled.left, pulled.after) == (own, 1, kept.tip)


def test_work_of_an_earlier_run_is_put_aside(kept: AgentRepository, machine: Path, user: Path, tmp_path: Path) -> None:
    tip = commit(machine, "b.py", "new\n")
    kept.take(bundle(machine))
    kept.note_mirrored()
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "b.py").write_text("unfinished\n")
    for _ in range(2):
        kept.begin_from_repository(user, mirror)
        assert kept.tip == kept.base != tip and not kept.mirrored
    refs = git("for-each-ref", "--format=%(refname)", "refs/skerry/earlier/", repository=kept.folder).decode().split()
    texts = {git("show", f"{ref}:b.py", repository=kept.folder) for ref in refs}
    assert len(refs) == 2 and texts == {b"new\n", b"unfinished\n"}


def hostile_tree(machine: Path, name: bytes, mode: bytes = b"100644") -> None:
    blob = run("hash-object", "-w", "--stdin", cwd=machine, stdin=b"[core]\n\tfsmonitor = evil\n")
    raw = mode + b" " + name + b"\0" + bytes.fromhex(blob)
    tree = run("hash-object", "-w", "--literally", "-t", "tree", "--stdin", cwd=machine, stdin=raw)
    tip = run("commit-tree", "-p", "HEAD", "-m", "x", tree, cwd=machine)
    run("update-ref", "refs/heads/skerry/dev", tip, cwd=machine)


@pytest.mark.parametrize("name", [b".git", b"..", b"a/b", b".GIT", b"git~1"])
def test_hostile_objects_are_refused(kept: AgentRepository, machine: Path, name: bytes) -> None:
    hostile_tree(machine, name)
    refused(kept, bundle(machine), "index-pack")


def refused(kept: AgentRepository, file: Path, words: str) -> None:
    before, packs = kept.tip, sorted((kept.folder / "objects").rglob("*"))
    with pytest.raises(BundleRefused, match=words):
        kept.take(file)
    assert kept.tip == before and sorted((kept.folder / "objects").rglob("*")) == packs
    assert not list(kept.folder.glob("incoming-*")), "nothing is left lying"


def test_other_refs_are_refused(kept: AgentRepository, machine: Path) -> None:
    commit(machine, "b.py", "new\n")
    run("branch", "other", cwd=machine)
    refused(kept, bundle(machine, "skerry/dev", "other"), "and nothing else")
    refused(kept, bundle(machine, "other"), "and nothing else")
    run("tag", "v1", cwd=machine)
    refused(kept, bundle(machine, "v1"), "and nothing else")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\0" * 100_000,
        b"# v2 git bundle\n",
        b"# v3 git bundle\n@filter=blob:none\n\nPACK",
        b"# v2 git bundle\n" + b"x" * 70_000,
        b"# v2 git bundle\n" + b"0" * 39 + b"g refs/heads/skerry/dev\n\nPACK",
        b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/skerry/dev\n\n",
        b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/skerry/dev\n\nPACK\0\0\0\2\xff\xff\xff\xff",
        b"# v2 git bundle\n-" + b"2" * 40 + b" \n" + b"1" * 40 + b" refs/heads/skerry/dev\n\nPACK",
        b"# v2 git bundle\n" + b"1" * 40 + b" refs/heads/skerry/dev/../../../x\n\nPACK",
    ],
)
def test_garbage_is_refused(kept: AgentRepository, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "garbage").write_bytes(data)
    refused(kept, tmp_path / "garbage", ".")


def test_a_pack_that_is_not_whole_is_refused(kept: AgentRepository, machine: Path) -> None:
    commit(machine, "b.py", "new\n")
    commit(machine, "c.py", "newer\n")
    whole = bundle(machine, "skerry/dev", "^HEAD~2").read_bytes()
    cut = machine.parent / "cut"
    cut.write_bytes(whole[:-30])
    refused(kept, cut, "index-pack")
    # a pack that lacks what its header promises: the newest commit only, said to build on nothing
    header, _, pack = bundle(machine, "skerry/dev", "^HEAD~1").read_bytes().partition(b"\n\n")
    lines = [line for line in header.split(b"\n") if not line.startswith(b"-")]
    cut.write_bytes(b"\n".join(lines) + b"\n\n" + pack)
    refused(kept, cut, "not whole|index-pack")


def test_a_branch_that_is_no_commit_is_refused(kept: AgentRepository, user: Path) -> None:
    tree = git("rev-parse", "HEAD^{tree}", repository=user, own=False).decode().strip()
    before = kept.tip
    with pytest.raises(BundleRefused, match="no commit"):
        kept.move_to(tree)
    assert kept.tip == before


def test_hooks_and_settings_of_nobody_run(kept: AgentRepository, machine: Path, user: Path, tmp_path: Path) -> None:
    for folder in (kept.folder / "hooks", user / ".git" / "hooks"):
        folder.mkdir(exist_ok=True)
        for name in ("reference-transaction", "post-merge", "pre-push", "post-update", "update"):
            (folder / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
            (folder / name).chmod(0o755)
    commit(machine, "b.py", "new\n")
    kept.take(bundle(machine))
    pull_branch(kept, user)
    assert not (tmp_path / "ran").exists()


def test_variables_of_git_do_not_lead_astray(
    kept: AgentRepository, user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    kept.begin_from_repository(user)
    assert kept.base is not None and not (tmp_path / "index").exists()


def test_git_is_ended_when_it_takes_too_long_or_says_too_much(kept: AgentRepository) -> None:
    with pytest.raises(GitFailed, match="longer than"):
        git("-c", "alias.wait=!sleep 30", "wait", repository=kept.folder, seconds=0.3)
    with pytest.raises(GitFailed, match="said more"):
        git("log", "-p", kept.branch, repository=kept.folder, limit=10)


@pytest.mark.parametrize("kind", ["bare", "worktree", "detached"])
def test_other_kinds_of_repository_serve_as_well(tmp_path: Path, user: Path, kind: str) -> None:
    place = tmp_path / kind
    if kind == "bare":
        run("clone", "--quiet", "--bare", str(user), str(place), cwd=tmp_path)
    elif kind == "worktree":
        run("worktree", "add", "--quiet", "-b", "side", str(place), cwd=user)
    else:
        run("clone", "--quiet", str(user), str(place), cwd=tmp_path)
        run("checkout", "--quiet", "--detach", "HEAD~1", cwd=place)
    repository = AgentRepository(tmp_path / "state" / "dev.git", "dev")
    repository.begin_from_repository(place)
    assert repository.base == run("rev-parse", "HEAD", cwd=place)
    assert pull_branch(repository, place).after == repository.base


def test_what_cannot_be_cloned_is_said(tmp_path: Path, user: Path) -> None:
    repository = AgentRepository(tmp_path / "state" / "dev.git", "dev")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="cannot be used as a git repository"):
        repository.begin_from_repository(empty)
    run("init", "--quiet", cwd=empty)
    with pytest.raises(ConfigError, match="no commits yet"):
        repository.begin_from_repository(empty)
    run("clone", "--quiet", "--depth=1", f"file://{user}", str(tmp_path / "shallow"), cwd=tmp_path)
    with pytest.raises(ConfigError, match="shallow"):
        repository.begin_from_repository(tmp_path / "shallow")
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    with pytest.raises(SkerryError):
        repository.begin_from_repository(tmp_path / "broken")


def test_work_is_what_was_committed_and_what_was_not(kept: AgentRepository, machine: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    work = work_of(kept, mirror)
    assert work is not None and work.uncommitted is None, "the mirror is of an earlier run"
    commit(machine, "b.py", "new\n", "add b\x1b[2J")
    kept.take(bundle(machine))
    kept.note_mirrored()
    (mirror / "b.py").write_text("new\nmore\n")
    (mirror / ".gitattributes").write_text("* filter=evil diff=evil text\n")
    (mirror / "new\nline").write_bytes(b"\0binary")
    work = work_of(kept, mirror)
    assert work is not None and work.uncommitted is not None
    assert [(one.subject, one.author) for one in work.commits] == [("add b\x1b[2J", "a")]
    assert [(f.path, f.state, f.added, f.removed) for f in work.committed.files] == [("b.py", "added", 1, 0)]
    assert {(f.path, f.state, f.added) for f in work.uncommitted.files} == {
        (".gitattributes", "added", 1), ("a.py", "removed", 0), ("b.py", "changed", 1), ("new\nline", "added", None),
    }  # fmt: skip
    assert "+more" in work.uncommitted.patch and not list(kept.folder.glob("scratch-*"))


def test_without_a_repository_the_seed_is_what_is_compared_with(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    (seed / "notes").write_text("one\r\n")
    (seed / ".gitignore").write_text("notes\nbuild\n")
    kept = AgentRepository(tmp_path / "state" / "dev.git", "dev")
    assert work_of(kept, seed) is None
    kept.begin_from_folder(seed)
    work = work_of(kept, seed)
    assert work is not None and work.uncommitted is not None and not work.uncommitted.files
    (seed / "notes").write_text("two\r\n")
    (seed / "build").write_text("ignored")
    work = work_of(kept, seed)
    assert work is not None and work.uncommitted is not None
    assert [(f.path, f.state) for f in work.uncommitted.files] == [("notes", "changed")]
    assert "two\r" in work.uncommitted.patch
