"""The real Codex needs the user in every way, the user clicks, the engine is killed: each is answered once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Paths
from app.domain.interrupt import InterruptKind, InterruptState
from tests.e2e.team_on_disk import ROOT, TeamOnDisk, cleared
from tests.e2e.test_interrupts import PROJECT, check_answers, check_what_was_done

pytestmark = [pytest.mark.vm, pytest.mark.gui, pytest.mark.codex, pytest.mark.slow, pytest.mark.timeout(1000)]


@pytest.fixture
def team(tmp_path: Path, paths: Paths) -> Iterator[TeamOnDisk]:
    with cleared(TeamOnDisk(tmp_path, paths, PROJECT)) as team:
        yield team


def test_every_kind_is_answered_by_clicks_exactly_once(team: TeamOnDisk, screen: str) -> None:
    pictures = Path(os.environ.get("SKERRY_SCREENSHOTS") or ROOT / "build" / "screenshots") / "interrupts"
    environment = os.environ | {"DISPLAY": screen, "QT_QPA_PLATFORM": "xcb", "PYTHONPATH": str(ROOT)}
    user = [sys.executable, "-m", "tests.e2e.interrupts_user", str(team.folder), str(pictures)]
    command = [*user, str(PROJECT / "scenario.yaml")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=780, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told + team.story()
    check_what_was_done(team)
    check_answers(team, by="user")
    (report,) = [one for one in team.board().interrupts.values() if one.kind is InterruptKind.PROGRESS_REPORT]
    assert report.state is InterruptState.ANSWERED, told
    asked = len(team.board().interrupts)
    for words in (": clicking ", "kill -9 ", "clicking 'Start engine'"):
        assert done.stdout.count(words) == asked == 5, told
