"""One agent of each type in one fleet: the same task, the same kinds of facts; a turn that is cut is paid once."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Paths
from app.domain import events as ev
from tests.e2e.team_on_disk import ROOT, TeamOnDisk, cleared

pytestmark = [
    pytest.mark.vm,
    pytest.mark.codex,
    pytest.mark.claude,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

PROJECT = Path(__file__).parent / "types"
AGENTS = ("codex-agent", "claude-agent", "acp-agent", "openai-agent", "anthropic-agent")
SAME = (
    "session_opened",
    "turn_started",
    "permission_decided",
    "tool_started",
    "tool_ended",
    "turn_ended",
    "model_called",
)


@pytest.fixture
def brands(tmp_path: Path, paths: Paths) -> Iterator[TeamOnDisk]:
    with cleared(TeamOnDisk(tmp_path, paths, PROJECT)) as team:
        workspace = team.folder / "agents/acp-agent/sandbox"
        workspace.mkdir(parents=True)
        shutil.copy(ROOT / "tests/runtimes/small_agent.py", workspace)
        yield team


def test_all_types_finish_the_same_task_over_the_death_of_the_engine(brands: TeamOnDisk) -> None:
    running = brands.start("run", "--headless", "--until-idle", "--rehearse", str(PROJECT / "scenario.yaml"))
    try:
        brands.until(lambda: len(brands.board().open_interrupts) == len(AGENTS), seconds=400)
        asked = {item.agent: item.id for item in brands.board().open_interrupts}
        before = brands.engine_pid()
        os.kill(before, signal.SIGKILL)
        brands.until(lambda: brands.engine_pid() not in (0, before))
        for question in asked.values():
            assert brands.skerry("answer", question, "Allow once").returncode == 0
        output, _ = running.communicate(timeout=400)
    finally:
        running.kill()
    assert running.returncode == 0, output + brands.story()
    states = {agent["id"]: agent["state"] for agent in brands.json("status")["agents"]}
    assert states == dict.fromkeys(AGENTS, "completed")
    assert {item.agent: item.id for item in brands.board().interrupts.values()} == asked, "nobody was asked twice"
    for agent in AGENTS:
        check_work(brands, agent)
        check_facts(brands, agent)
    assert not brands.machines_left()


def check_work(brands: TeamOnDisk, agent: str) -> None:
    log = (brands.folder / f"agents/{agent}/sandbox/log.txt").read_text()
    assert log == "built\nchecked\n", (agent, log, brands.story())
    assert (brands.folder / f"agents/{agent}/memory.md").read_text().count("It is built.") == 1


def check_facts(brands: TeamOnDisk, agent: str) -> None:
    facts = [fact for fact in brands.facts() if fact.agent == agent]
    kinds = {fact.kind for fact in facts}
    assert kinds >= set(SAME), (agent, set(SAME) - kinds)
    turns = Counter(fact.turn for fact in facts if isinstance(fact, ev.TurnStarted))
    assert set(turns.values()) == {1}
    # build, check, check again after the cut, note, finish, the end: no reply is paid twice. Claude Code looks whether
    # its model is there when it loads a conversation.
    paid = [fact for fact in facts if isinstance(fact, ev.ModelCalled)]
    assert len(paid) <= (7 if agent == "claude-agent" else 6), (
        agent,
        [(fact.input_tokens, fact.output_tokens) for fact in paid],
    )
