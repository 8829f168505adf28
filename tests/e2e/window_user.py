"""A user of the window: looks every quarter of a second, and clicks where the window asks for him.

Run as a process of its own on a virtual screen: ``python -m tests.e2e.window_user PROJECT PICTURES``. It knows the
window by the names of its widgets only, as an accessibility tool would.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from app.cli.run import scenario_file
from app.config import Paths, Project, load_project
from app.control import read_board
from app.ui.application import run_window

PAGES = ("dashboard", "messages", "interrupts", "console")
LOOK_MS = 250
PATIENCE_SECONDS = 400


class WindowUser:
    """Sees the window, answers what is asked, takes pictures, leaves when the run has ended."""

    def __init__(self, application: QApplication, project: Project, paths: Paths, pictures: Path) -> None:
        self._application = application
        self._project = project
        self._paths = paths
        self._pictures = pictures
        self._answered = 0
        self._wait_until = 0.0
        self._until = time.monotonic() + PATIENCE_SECONDS
        self._timer = QTimer(application)
        self._timer.timeout.connect(self._look)
        self._timer.start(LOOK_MS)

    def _look(self) -> None:
        window = next((w for w in QApplication.topLevelWidgets() if w.objectName() == "main-window"), None)
        if window is None or time.monotonic() < self._wait_until:
            return
        option = self._button(window, "interrupt-option-0")
        go_there = self._button(window, "attention-go")
        if option is not None:
            self._answer(window, option)
        elif go_there is not None:
            self._picture(window, f"asked-{self._answered + 1}")
            self._click(go_there)
        elif read_board(self._paths, self._project.fleet_id).outcome or time.monotonic() > self._until:
            self._leave(window)

    def _answer(self, window: QWidget, option: QPushButton) -> None:
        self._answered += 1
        self._picture(window, f"question-{self._answered}")
        print(f"clicking {option.text()!r}", flush=True)
        self._click(option)
        self._wait_until = time.monotonic() + 3
        QTimer.singleShot(2000, lambda: self._turn_to(window, "dashboard"))

    def _leave(self, window: QWidget) -> None:
        self._timer.stop()
        for page in PAGES:
            self._turn_to(window, page)
            QTest.qWait(500)
            self._picture(window, f"end-{page}")
        self._application.quit()

    def _turn_to(self, window: QWidget, page: str) -> None:
        button = window.findChild(QPushButton, f"nav-{page}")
        assert button is not None
        self._click(button)

    def _button(self, window: QWidget, name: str) -> QPushButton | None:
        found = window.findChild(QPushButton, name)
        return found if found is not None and found.isVisible() and found.isEnabled() else None

    def _click(self, button: QPushButton) -> None:
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def _picture(self, window: QWidget, name: str) -> None:
        screen = window.screen()
        self._pictures.mkdir(parents=True, exist_ok=True)
        picture = screen.grabWindow(int(window.winId()))
        assert picture.save(str(self._pictures / f"{name}.png"))


def main(folder: str, pictures: str) -> int:
    application = QApplication(sys.argv[:1])
    paths, project = Paths.from_environment(), load_project(Path(folder))
    user = WindowUser(application, project, paths, Path(pictures))
    assert user is not None
    return run_window(project, paths, rehearse=scenario_file("blueprint"), start=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
