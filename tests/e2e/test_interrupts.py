"""The real Codex needs the user in every way, answers come from a file, the engine is killed: each is answered once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Paths
from app.domain import events as ev
from app.domain.interrupt import InterruptKind, InterruptState
from tests.e2e.team_on_disk import TeamOnDisk, cleared

pytestmark = [pytest.mark.vm, pytest.mark.codex, pytest.mark.slow, pytest.mark.timeout(900)]

PROJECT = Path(__file__).parent / "interrupts"
RUN = ("run", "--headless", "--rehearse", str(PROJECT / "scenario.yaml"))


@pytest.fixture
def team(tmp_path: Path, paths: Paths) -> Iterator[TeamOnDisk]:
    with cleared(TeamOnDisk(tmp_path, paths, PROJECT)) as team:
        yield team


def test_every_kind_is_answered_from_a_file_exactly_once(team: TeamOnDisk) -> None:
    first = team.start(*RUN)  # nobody answers yet
    try:
        team.until(lambda: bool(team.board().open_interrupts))
        os.kill(team.engine_pid(), signal.SIGKILL)
        team.until(lambda: team.engine_pid() != 0)
    finally:
        first.kill()
        first.communicate()
    running = team.start(*RUN, "--answers", str(PROJECT / "answers.yaml"))
    try:
        output, _ = running.communicate(timeout=600)
    finally:
        running.kill()
    assert running.returncode == 0, output + team.story()
    check_what_was_done(team)
    check_answers(team, by="file")


def check_what_was_done(team: TeamOnDisk) -> None:
    log = (team.folder / "agents/dev-agent/sandbox/log.txt").read_text()
    assert log == "red\nhelped\npushed\n", team.story()
    assert (team.folder / "agents/test-agent/sandbox/log.txt").read_text() == "read\n", team.story()


def check_answers(team: TeamOnDisk, *, by: str) -> None:
    items = list(team.board().interrupts.values())
    assert Counter(item.kind for item in items) == {
        InterruptKind.USER_INPUT: 1,
        InterruptKind.DEBUG_REQUEST: 1,
        InterruptKind.PROGRESS_REPORT: 1,
        InterruptKind.APPROVAL: 2,
    }, team.story()
    settled = Counter(fact.interrupt_id for fact in team.facts() if isinstance(fact, ev.InterruptSettled))
    assert set(settled.values()) == {1}
    for item in items:
        if item.kind is not InterruptKind.PROGRESS_REPORT:
            assert item.state is InterruptState.ANSWERED
            assert item.answer is not None and item.answer.by == by, item
    (help_asked,) = [item for item in items if item.kind is InterruptKind.DEBUG_REQUEST]
    assert [(one.name, one.text) for one in help_asked.exhibits] == [("test.log", "1 failed")]
