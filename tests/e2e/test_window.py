"""The main job in the window, on a virtual screen: the user only clicks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.team_on_disk import ROOT, TeamOnDisk

pytestmark = [pytest.mark.vm, pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_rehearsal_by_clicks(team: TeamOnDisk, screen: str) -> None:
    pictures = Path(os.environ.get("SKERRY_SCREENSHOTS") or ROOT / "build" / "screenshots") / "rehearsal"
    environment = os.environ | {"DISPLAY": screen, "QT_QPA_PLATFORM": "xcb", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.e2e.window_user", str(team.folder), str(pictures)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + team.story()
    assert "clicking '1   Deliver once" in done.stdout
    assert "clicking '1   Accept it" in done.stdout
    team.assert_the_story_was_told()
    team.assert_nothing_happened_twice()
    answers = [item.answer.by for item in team.board().interrupts.values() if item.answer is not None]
    assert answers == ["user", "user"]
    taken = {file.stem for file in pictures.glob("*.png")}
    assert {"question-1", "question-2", "end-dashboard", "end-messages", "end-interrupts", "end-console"} <= taken
    assert team.engine_pid() != 0, "closing the window stops nothing"
