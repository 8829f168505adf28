"""The turn of the real Codex in a real machine is cancelled: its commands die, its conversation goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Paths
from app.domain import events as ev
from tests.e2e.team_on_disk import TeamOnDisk, cleared

pytestmark = [pytest.mark.vm, pytest.mark.codex, pytest.mark.slow, pytest.mark.timeout(600)]

PROJECT = Path(__file__).parent / "cancel"
RUN = ("run", "--headless", "--rehearse", str(PROJECT / "scenario.yaml"))
SLEEPERS = ("shell", "dev-agent", "--", "pgrep -x sleep | wc -l")


@pytest.fixture
def alone(tmp_path: Path, paths: Paths) -> Iterator[TeamOnDisk]:
    with cleared(TeamOnDisk(tmp_path, paths, PROJECT)) as team:
        yield team


def test_a_cancelled_turn_leaves_no_process_and_an_agent_that_goes_on(alone: TeamOnDisk) -> None:
    running = alone.start(*RUN)
    try:
        alone.until(lambda: any(isinstance(fact, ev.ToolStarted) for fact in alone.facts()))
        alone.until(lambda: alone.skerry(*SLEEPERS, seconds=60).stdout.split()[-1:] == ["2"])
        cancelled = alone.json("cancel", "dev-agent")
        assert cancelled == {"cancelled": ["dev-agent"], "refused": {}}
        assert alone.skerry(*SLEEPERS, seconds=60).stdout.split()[-1:] == ["0"], alone.story()
        alone.until(lambda: alone.json("status")["agents"][0]["state"] == "idle")
        (agent,) = alone.json("status")["agents"]
        assert agent["reason"] == "its turn was cancelled by the user; waits for messages"
        again = alone.skerry("cancel", "dev-agent", seconds=60)
        assert again.returncode == 1 and "has no turn under way" in again.stderr
        assert alone.skerry("send", "dev-agent", "Leave that. Do something else.").returncode == 0
        output, _ = running.communicate(timeout=300)
    finally:
        running.kill()
    assert running.returncode == 0, output + alone.story()
    assert (alone.folder / "agents/dev-agent/sandbox/log.txt").read_text() == "begun\ninstead\n"
    ends = [fact.stop_reason for fact in alone.facts() if isinstance(fact, ev.TurnEnded)]
    assert ends[0] == "cancelled" and ends[1:] == ["end_turn"] * len(ends[1:]), ends
    sessions = [fact.session for fact in alone.facts() if isinstance(fact, ev.SessionOpened)]
    assert len(sessions) == 1, "the conversation goes on"
