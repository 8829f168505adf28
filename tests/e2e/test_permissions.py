"""The real Codex and Claude Code in real machines ask first: what is denied never runs, what is asked about waits."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Paths
from app.domain import events as ev
from app.domain.interrupt import Interrupt
from tests.e2e.team_on_disk import TeamOnDisk, cleared

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(600)]
TYPES = [
    pytest.param("codex", marks=pytest.mark.codex),
    pytest.param("claude-code", marks=pytest.mark.claude),
]

PROJECT = Path(__file__).parent / "permissions"
RUN = ("run", "--headless", "--rehearse", str(PROJECT / "scenario.yaml"))
PUSH = "git push origin main; echo pushed >>log.txt"


@pytest.fixture(params=TYPES)
def alone(tmp_path: Path, paths: Paths, request: pytest.FixtureRequest) -> Iterator[TeamOnDisk]:
    with cleared(TeamOnDisk(tmp_path, paths, PROJECT, agent_type=request.param)) as team:
        yield team


def test_rules_hold_over_the_death_of_the_engine(alone: TeamOnDisk) -> None:
    running = alone.start(*RUN)
    try:
        first = question(alone)
        assert first.title == f'dev-agent wants to run "{PUSH}"'
        (agent,) = alone.json("status")["agents"]
        assert (agent["state"], agent["reason"]) == ("waiting", f'approval to run "{PUSH}"')
        os.kill(alone.engine_pid(), signal.SIGKILL)
        alone.until(lambda: any(isinstance(fact, ev.TurnResumed) for fact in alone.facts()))
        alone.until(lambda: times_begun(alone, PUSH) == 2)
        assert [item.id for item in alone.board().interrupts.values()] == [first.id], "it is asked once"
        assert alone.skerry("answer", first.id, "1").returncode == 0
        second = question(alone)
        assert second.id != first.id and "git push --tags" in second.title
        assert alone.skerry("answer", second.id, "Deny", "--reason", "not today").returncode == 0
        output, _ = running.communicate(timeout=300)
    finally:
        running.kill()
    assert running.returncode == 0, output + alone.story()
    check_what_ran(alone)
    check_decisions(alone, first, second)


def check_what_ran(alone: TeamOnDisk) -> None:
    folder = alone.folder / "agents/dev-agent/sandbox"
    assert (folder / "log.txt").read_text() == "begun\npushed\n", alone.story()
    assert not (folder / "kept").exists()


def check_decisions(alone: TeamOnDisk, first: Interrupt, second: Interrupt) -> None:
    facts = [fact for fact in alone.facts() if isinstance(fact, ev.PermissionDecided)]
    assert [(fact.verdict, fact.rule, fact.interrupt) for fact in facts] == [
        ("allow", "approve: auto", ""),
        ("deny", "commands.deny: rm -rf *", ""),
        ("deny", "files.read_only: kept/**", ""),
        ("allow", "commands.ask: git push *", first.id),
        ("deny", "commands.ask: git push *", second.id),
    ]
    assert facts[-1].why == "the user refused it: not today"
    ended = [fact for fact in alone.facts() if isinstance(fact, ev.TurnEnded)]
    assert len(ended) == 1, "a refusal is told within the turn"


def question(alone: TeamOnDisk) -> Interrupt:
    """The question that is open, as soon as one is."""
    alone.until(lambda: bool(alone.board().open_interrupts))
    return alone.board().open_interrupts[0]


def times_begun(alone: TeamOnDisk, command: str) -> int:
    return sum(isinstance(fact, ev.ToolStarted) and fact.command == command for fact in alone.facts())
