"""The main job, as a newcomer runs it: three real Codex agents in three real machines."""

from __future__ import annotations

import os
import signal
import time

import pytest

from app.domain import events as ev
from tests.e2e.team_on_disk import REHEARSAL, TeamOnDisk

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(900)]

SECOND_START_SECONDS = 90


def test_the_rehearsal_ends_well_and_again(team: TeamOnDisk) -> None:
    first = team.skerry(*REHEARSAL)
    assert first.returncode == 0, first.stdout + first.stderr + team.story()
    assert "FAIL: " in first.stdout, "the first version's bug is really found"
    assert "Ran 11 tests" in first.stdout
    assert "Shall I accept the duration module?" in first.stdout
    team.assert_the_story_was_told()
    team.assert_nothing_happened_twice()
    assert team.engine_pid() == 0

    began = time.monotonic()
    second = team.skerry(*REHEARSAL)
    took = time.monotonic() - began
    assert second.returncode == 0, second.stdout + second.stderr + team.story()
    team.assert_the_story_was_told()
    print(f"second start: {took:.1f} s")
    assert took < SECOND_START_SECONDS


def test_an_engine_killed_in_the_middle_changes_nothing(team: TeamOnDisk) -> None:
    running = team.start(*REHEARSAL)
    try:
        team.until(lambda: _commands_begun(team) >= 2)
        os.kill(team.engine_pid(), signal.SIGKILL)
        output, _ = running.communicate(timeout=600)
    finally:
        running.kill()
    assert running.returncode == 0, output + team.story()
    assert "another one takes over" in output
    team.assert_the_story_was_told()
    team.assert_nothing_happened_twice()
    assert any(isinstance(event, ev.TurnResumed) for event in team.facts())


def _commands_begun(team: TeamOnDisk) -> int:
    return sum(isinstance(event, ev.ToolStarted) and bool(event.command) for event in team.facts())
