"""``skerry memory``: with and without an engine, for agents at work and others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.config import Paths, load_project
from app.control import open_memory
from app.domain.events import AgentStatus
from tests.cli.conftest import PROJECT, AtWork, Skerry
from tests.conftest import WriteProject
from tests.team import Turn

AGENT = "dev-agent"


@pytest.fixture
def folder(paths: Paths, write_project: WriteProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that has not run yet, and is the working folder; dev-agent's memory was edited twice by hand."""
    folder = write_project(PROJECT)
    monkeypatch.chdir(folder)
    file = folder / "agents" / AGENT / "memory.md"
    file.parent.mkdir(parents=True)
    for text in ("# Memory\n\n## Plan\n\nfirst\n", "# Memory\n\n## Plan\n\nsecond\x1b[2J\n"):
        file.write_text(text)
        with open_memory(paths, load_project(folder), AGENT) as memory:
            memory.read()
    return file


def test_the_file_as_it_is_and_as_it_was(folder: Path, skerry: Skerry) -> None:
    assert skerry("memory", "show", AGENT).stdout == "# Memory\n\n## Plan\n\nsecond\n"
    assert "first" in skerry("memory", "show", AGENT, "--revision", "1").stdout
    shown = json.loads(skerry("memory", "show", AGENT, "--json").stdout)
    assert shown["path"] == str(folder.resolve())
    assert shown["text"] == folder.read_text()
    assert skerry("memory", "show", AGENT, "--revision", "9").complained(1, "has no revision 9")
    assert skerry("memory", "show", "nobody").complained(1, "nobody")
    assert "is empty" in skerry("memory", "show", "test-agent").stderr


def test_history_and_diff(folder: Path, skerry: Skerry) -> None:
    lines = skerry("memory", "history", AGENT).stdout.splitlines()
    assert lines[0].split() == ["REVISION", "AT", "BY", "BYTES", "WHAT"]
    assert [line.split()[0] for line in lines[1:]] == ["2", "1"]
    told = json.loads(skerry("memory", "history", AGENT, "--json").stdout)["revisions"]
    assert [(item["revision"], item["author"], item["action"]) for item in told] == [
        (1, "user", "edit"),
        (2, "user", "edit"),
    ]
    for arguments in ((), ("1",), ("1", "2")):
        patch = skerry("memory", "diff", AGENT, *arguments).stdout
        assert "-first\n+second\n" in patch, arguments
    assert "+# Memory" in skerry("memory", "diff", AGENT, "0", "1").stdout
    assert "nothing differs" in skerry("memory", "diff", AGENT, "2", "2").stderr
    assert "-first" in json.loads(skerry("memory", "diff", AGENT, "--json").stdout)["patch"]


def test_restore_keeps_what_was_there(folder: Path, skerry: Skerry) -> None:
    done = skerry("memory", "restore", AGENT, "1", "--why", "it was right")
    assert done.stdout == "the memory of dev-agent is what it was at revision 1; this is revision 3\n"
    assert folder.read_text().endswith("first\n")
    told = json.loads(skerry("memory", "history", AGENT, "--json").stdout)["revisions"]
    assert (told[2]["action"], told[2]["why"]) == ("restore", "it was right")
    again = json.loads(skerry("memory", "restore", AGENT, "2", "--json").stdout)
    assert (again["revision"], again["why"]) == (4, "back to revision 2")
    assert skerry("memory", "restore", AGENT, "77").complained(1, "has no revision 77", "history")


def test_out_and_in_again(folder: Path, skerry: Skerry, tmp_path: Path) -> None:
    file = tmp_path / "memory.jsonl"
    assert "2 revisions" in skerry("memory", "export", AGENT, str(file)).stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert skerry("memory", "export", AGENT, str(file)).complained(2, "cannot be written", "not there yet")
    told = json.loads(skerry("memory", "export", AGENT, str(tmp_path / "b"), "--json").stdout)
    assert (told["revisions"], told["bytes"]) == (2, (tmp_path / "b").stat().st_size)
    other = folder.parent.parent / "test-agent" / "memory.md"
    other.parent.mkdir()
    other.write_text("mine\n")
    made = json.loads(skerry("memory", "import", "test-agent", str(file), "--json").stdout)
    assert (made["revision"], made["action"], made["why"]) == (4, "import", "from memory.jsonl")
    assert other.read_bytes() == folder.read_bytes()
    assert skerry("memory", "show", "test-agent", "--revision", "1").stdout == "mine\n"
    listed = skerry("memory", "history", "test-agent").stdout
    assert "imported: dev-agent of" in listed


def test_what_is_no_export_changes_nothing(folder: Path, skerry: Skerry, tmp_path: Path) -> None:
    before = folder.read_bytes()
    bad = tmp_path / "bad"
    bad.write_text("{}")
    assert skerry("memory", "import", AGENT, str(bad)).complained(1, "cannot be imported", "memory export")
    assert skerry("memory", "import", AGENT, str(tmp_path)).complained(1, "is no file that can be imported")
    assert skerry("memory", "import", AGENT, str(tmp_path / "none")).complained(1, "cannot be read")
    assert folder.read_bytes() == before
    assert len(json.loads(skerry("memory", "history", AGENT, "--json").stdout)["revisions"]) == 2


def test_a_folder_in_its_place(folder: Path, skerry: Skerry) -> None:
    folder.unlink()
    folder.mkdir()
    for command in (("show",), ("history",), ("restore", "1")):
        assert skerry("memory", command[0], AGENT, *command[1:]).complained(1, "memory.md is a folder", "plain file")


async def test_an_agent_at_work(at_work: AtWork) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await turn.call("memory_append", heading="Plan", text="what alice noted", why="she was asked to")

    async with at_work(script) as desk:
        await desk.team.start()
        await desk.team.until(lambda board: all(view.state is AgentStatus.IDLE for view in board.agents.values()))
        listed = (await desk.type("memory", "history", "alice")).stdout
        assert "append, “Plan”, turn 1, she was asked to" in listed
        assert "what alice noted" in (await desk.type("memory", "show", "alice")).stdout
        assert (await desk.type("memory", "restore", "alice", "1")).returncode == 0
        assert "what alice noted" not in (await desk.type("memory", "show", "alice")).stdout
        file = desk.team.project.root / "agents" / "alice" / "memory.md"
        file.write_text("## Plan\n\nship it on Monday\n")
        await desk.team.calls.handle(
            f"{desk.team.fleet}/alice", "memory_replace", {"heading": "Plan", "text": "ship it on Tuesday"}, "c"
        )
        file.write_text("## Plan\n\nship it on Friday\n")
        shown = await desk.type("memory", "show", "alice")
        assert "ship it on Tuesday" in shown.stdout
        assert "you and alice rewrote the same lines: both are in the file since revision 7" in shown.stderr
        await desk.team.control.stop_agent(desk.team.fleet, "alice")
        await desk.team.until(lambda board: board.agents["alice"].state is AgentStatus.STOPPED)
        assert (await desk.type("memory", "restore", "alice", "2")).returncode == 0
        assert "what alice noted" in (await desk.type("memory", "show", "alice")).stdout
