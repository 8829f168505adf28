"""One window for each user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.config import Paths
from app.ui.single_instance import SingleInstance

HOLDER = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from app.ui.single_instance import SingleInstance
application = QCoreApplication([])
instance = SingleInstance(Path(sys.argv[1]))
print("taken" if instance.take() else "refused", flush=True)
application.exec()
"""


def test_a_second_launch_raises_the_first(qtbot: QtBot, paths: Paths) -> None:
    first, second = SingleInstance(paths.runtime), SingleInstance(paths.runtime)
    assert first.take()
    assert not second.take()
    with qtbot.waitSignal(first.raise_wanted):
        assert second.raise_other()
    first.release()
    assert second.take()
    second.release()


@pytest.mark.slow
def test_a_killed_window_does_not_keep_the_place(qtbot: QtBot, paths: Paths) -> None:
    root = Path(__file__).resolve().parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(paths.runtime)], stdout=subprocess.PIPE, cwd=root, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "taken\n"
    instance = SingleInstance(paths.runtime)
    assert not instance.take()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert instance.take()
    instance.release()
