"""Files that travel with messages: from a hostile machine, kept once, into the recipient's machine."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client

from app.activities.attachments import collect
from app.activities.member import machine_name
from app.config import Paths
from app.domain.attachments import MAX_FILE_BYTES, MAX_NAME_BYTES, check_name, check_path
from app.domain.errors import ActionRefused, NotFound, SandboxError
from app.domain.machines import CommandResult
from app.store.attachments import AttachmentStore
from app.testing import FakeSandbox, FakeSandboxHost, succeeded
from tests.team import Team, Turn

HOSTILE = [
    "a\nb",
    "a\x1b[2Jb",
    "\u202egpj.exe",
    "\udcff",
    "-rf",
    "a/b",
    "",
    ".",
    "..",
    " a",
    "a" * (MAX_NAME_BYTES + 1),
    ".skerry-draft",
]
ELSEWHERE = [
    "/etc/passwd",
    "../x",
    "a/../../etc/passwd",
    "/workspace/../etc/passwd",
    "/workspace",
    "/workspace/",
    "",
    "a//b",
    "./a",
    "/workspaces/a",
]


@pytest.fixture
def store(tmp_path: Path) -> AttachmentStore:
    return AttachmentStore(tmp_path / "attachments")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_and_not_repaired(name: str) -> None:
    with pytest.raises(ActionRefused):
        check_name(name)


@pytest.mark.parametrize("path", ELSEWHERE)
def test_only_files_below_the_workspace_can_be_attached(path: str) -> None:
    with pytest.raises(ActionRefused):
        check_path(path)


@given(st.text(max_size=120))
def test_what_passes_is_one_plain_name_in_the_workspace(path: str) -> None:
    try:
        place = check_path(path)
    except ActionRefused:
        return
    assert place.startswith("/workspace/")
    assert not {"", ".", ".."} & set(place.split("/")[1:])
    assert check_name(place.rsplit("/", 1)[1])


def test_files_are_kept_once_private_and_checked_when_read(store: AttachmentStore, tmp_path: Path) -> None:
    (one,) = store.keep({"a.txt": b"text"})
    (two,) = store.keep({"b.txt": b"text"})
    digest = hashlib.sha256(b"text").hexdigest()
    assert (one.name, one.size, one.sha256, two.sha256) == ("a.txt", 4, digest, digest)
    (kept,) = [path for path in (tmp_path / "attachments").rglob("*") if path.is_file()]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "attachments").stat().st_mode) == 0o700
    assert store.read(two) == b"text"
    kept.write_bytes(b"evil")
    with pytest.raises(NotFound, match="was changed"):
        store.read(one)


def test_the_users_files_are_regular_and_bounded(store: AttachmentStore, tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_bytes(b"plain")
    link, pipe, large = tmp_path / "link", tmp_path / "pipe", tmp_path / "large"
    link.symlink_to(plain)
    os.mkfifo(pipe)
    large.write_bytes(bytes(MAX_FILE_BYTES + 1))
    assert [item.name for item in store.keep_attachments([plain])] == ["plain.txt"]
    for path in (link, pipe, large, tmp_path, tmp_path / "absent"):
        with pytest.raises(ActionRefused):
            store.keep_attachments([path])
    with pytest.raises(ActionRefused, match="two files are named"):
        store.keep_attachments([plain, plain])


async def test_a_machine_that_lies_gives_no_more_than_the_limit(store: AttachmentStore) -> None:
    machine = FakeSandbox("demo.alice")
    machine.files["/workspace/endless"] = bytes(3 * MAX_FILE_BYTES)
    with pytest.raises(ActionRefused, match=f"has more than {MAX_FILE_BYTES} bytes"):
        await collect(machine, ["endless"], store)
    machine.files |= {f"/workspace/{n}": bytes(MAX_FILE_BYTES) for n in range(5)}
    with pytest.raises(ActionRefused, match="bytes together"):
        await collect(machine, [str(n) for n in range(5)], store)
    with pytest.raises(ActionRefused, match="9 files are attached, 8 are allowed"):
        await collect(machine, [f"f{n}" for n in range(9)], store)
    with pytest.raises(ActionRefused, match="the same name"):
        await collect(machine, ["a/x", "b/x"], store)
    with pytest.raises(ActionRefused, match="is not there"):
        await collect(machine, ["absent"], store)


async def test_links_are_not_followed(store: AttachmentStore) -> None:
    def refuse(command: str) -> CommandResult:
        assert "realpath -e -- /workspace/link" in command
        return succeeded(exit_status=1)

    with pytest.raises(ActionRefused, match="or a link leads to it"):
        await collect(FakeSandbox("demo.alice", refuse), ["link"], store)


class FullHost(FakeSandboxHost):
    """Machines whose disk takes no files of messages."""

    async def ensure(self, *arguments: object, **named: object) -> FakeSandbox:
        found = await super().ensure(*arguments, **named)  # type: ignore[arg-type]
        assert isinstance(found, FakeSandbox)

        async def write_files(folder: str, *rest: object, **more: object) -> None:
            raise SandboxError(f"no space left for {folder}", operation="write files")

        found.write_files = write_files  # type: ignore[method-assign]
        return found


@pytest.mark.parametrize("full", [False, True])
async def test_files_lie_in_the_recipients_inbox_before_it_reads(paths: Paths, temporal: Client, full: bool) -> None:
    prompts: list[str] = []

    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            machine = team.host.machines[machine_name(team.fleet, "alice")]
            machine.files["/workspace/out/report.md"] = b"# Report"
            arguments = {"recipient": "bob", "body": "See the file.", "attachments": ["out/report.md"]}
            assert (await turn.call("send_message", **arguments)).ok
            with pytest.raises(ActionRefused, match="is no plain path"):
                await turn.call("send_message", recipient="bob", body="And?", attachments=["../../etc/passwd"])
        if "See the file." in turn.prompt:
            prompts.append(turn.prompt)
        if turn.agent == "alice" or prompts:
            await turn.call("finish", summary="done")

    team = Team(paths, temporal, script, host=FullHost() if full else FakeSandboxHost())
    async with team:
        await team.start()
        board = await team.until(lambda board: board.outcome == "completed")
        (message,) = board.messages.values()
        (attachment,) = message.envelope.attachments
        assert attachment.sha256 == hashlib.sha256(b"# Report").hexdigest()
        place = f"/workspace/.inbox/{message.envelope.id}/report.md"
        machine = team.host.machines[machine_name(team.fleet, "bob")]
        if full:
            assert "could not be put into your machine: no space left" in prompts[0]
        else:
            assert machine.files[place] == b"# Report"
            assert f"Attached:\n- {place} (8 bytes)" in prompts[0]
