"""API loops over Responses, Messages and Chat Completions, each in a real machine, under the rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Paths
from app.domain import events as ev
from tests.e2e.team_on_disk import TeamOnDisk, cleared

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(600)]

PROJECT = Path(__file__).parent / "loops"


@pytest.fixture
def loops(tmp_path: Path, paths: Paths) -> Iterator[TeamOnDisk]:
    with cleared(TeamOnDisk(tmp_path, paths, PROJECT)) as team:
        yield team


def test_loops_finish_their_task_in_machines(loops: TeamOnDisk) -> None:
    scenario = str(PROJECT / "scenario.yaml")
    done = loops.skerry("run", "--headless", "--until-idle", "--answer-default", "--rehearse", scenario)
    assert done.returncode == 0, done.stdout + done.stderr + loops.story()
    states = {agent["id"]: agent["state"] for agent in loops.json("status")["agents"]}
    assert set(states.values()) == {"completed"}, states
    check_files(loops)
    check_rules(loops)
    ended = {fact.call_id: fact for fact in loops.facts() if isinstance(fact, ev.ToolEnded)}
    shown = ended["call_show_1_1"]
    assert (shown.exit_status, shown.output) == (0, "Hello\nagent\n1\n2\n3\n")
    assert ended["call_check_1_1"].exit_status == 4
    kinds = {(fact.agent, fact.kind) for fact in loops.facts()}
    for agent in states:
        expected = ("session_opened", "turn_started", "tool_started", "tool_ended", "turn_ended", "model_called")
        assert all((agent, kind) in kinds for kind in expected), "the same kinds of facts for all"
    assert not loops.machines_left()


def check_files(loops: TeamOnDisk) -> None:
    workspace = loops.folder / "agents"
    assert (workspace / "open-agent/sandbox/greeting.py").read_text() == "def greet():\n    return 'Hello'\n"
    assert (workspace / "clever-agent/sandbox/checked.txt").read_text() == "checked\n"
    assert (workspace / "local-agent/sandbox/count.txt").read_text() == "1\n2\n3\n"
    assert "The greeting works." in (workspace / "open-agent/memory.md").read_text()
    assert not (workspace / "open-agent/sandbox/kept").exists()
    assert not (workspace / "open-agent/sandbox/log.txt").exists()


def check_rules(loops: TeamOnDisk) -> None:
    facts = [fact for fact in loops.facts() if isinstance(fact, ev.PermissionDecided) and fact.agent == "open-agent"]
    assert [(fact.verdict, fact.rule) for fact in facts[:3]] == [
        ("deny", "commands.deny: rm -rf *"),
        ("deny", "files.read_only: kept/**"),
        ("deny", "commands.ask: git push *"),
    ]
    assert facts[2].interrupt, "the user was asked"
    assert {fact.verdict for fact in facts[3:]} == {"allow"}
