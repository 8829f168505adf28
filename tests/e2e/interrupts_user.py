"""A user who answers every kind of interrupt by clicks; the engine is killed between each question and its answer.

``python -m tests.e2e.interrupts_user PROJECT PICTURES SCENARIO``, on a virtual screen. What is answered is what
``interrupts/answers.yaml`` says, but told by a hand.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QListView, QPlainTextEdit, QPushButton, QWidget

from app.config import Paths, Project, load_project
from app.control import engine_info, read_board
from app.ui.application import run_window
from tests.e2e.window_user import WindowUser

PATIENCE_SECONDS = 700
"""Each of the five kills costs up to a heartbeat time-out."""
REPORT = "Painted and helped"


class InterruptsUser(WindowUser):
    """Stays on the page of the interrupts and answers the one that is shown; what is open stands above."""

    def __init__(self, application: QApplication, project: Project, paths: Paths, pictures: Path) -> None:
        super().__init__(application, project, paths, pictures)
        self._told: list[str] = []
        self._until = time.monotonic() + PATIENCE_SECONDS

    def _say(self, words: str) -> None:
        self._told.append(words)
        print(words, flush=True)

    def _said(self, beginning: str) -> bool:
        return any(words.startswith(beginning) for words in self._told)

    def _look(self) -> None:
        window = next((w for w in QApplication.topLevelWidgets() if w.objectName() == "main-window"), None)
        if window is None or time.monotonic() < self._wait_until:
            return
        start = self._button(window, "engine-start")
        if read_board(self._paths, self._project.fleet_id).outcome or time.monotonic() > self._until:
            self._leave(window)
        elif start is not None:
            self._say("clicking 'Start engine'")
            self._click(start)
            self._wait_until = time.monotonic() + 2
        elif self._is_asked(window):
            self._meet(window, self._title(window))
        else:
            self._turn_to(window, "interrupts")
            self._press(window, "k")

    def _is_asked(self, window: QWidget) -> bool:
        text = window.findChild(QPlainTextEdit, "interrupt-text")
        return text is not None and text.isVisible() and text.isEnabled()

    def _meet(self, window: QWidget, title: str) -> None:
        if not self._said(f"kill -9 {title}"):
            self._picture(window, "asked")
            self._kill_the_engine(title)
        elif title.startswith("Which colour"):
            self._write(window, "but not too bright")
            self._choose(window, title, "red")
        elif "fails for no reason" in title:
            self._instruct(window, title)
        elif title.startswith(REPORT):
            self._send(window, title)
        elif "git push" in title and not self._said(REPORT):
            self._press(window, "j")  # the report stands below: nobody waits for it
        else:
            self._choose(window, title, "Allow once" if "git push" in title else "Deliver once")

    def _kill_the_engine(self, title: str) -> None:
        engine = engine_info(self._paths)
        assert engine is not None
        self._say(f"kill -9 {title}")
        os.kill(engine.pid, signal.SIGKILL)
        self._wait_until = time.monotonic() + 3

    def _instruct(self, window: QWidget, title: str) -> None:
        self._click(self._sure(window, "interrupt-way-instruct"))
        self._write(window, "Leave the test alone and go on.")
        self._send(window, title)

    def _choose(self, window: QWidget, title: str, option: str) -> None:
        buttons = window.findChildren(QPushButton)
        made = next(one for one in buttons if one.accessibleName() == f"Answer: {option}" and one.isVisible())
        self._done(window, title, made)

    def _send(self, window: QWidget, title: str) -> None:
        self._done(window, title, self._sure(window, "interrupt-send"))

    def _done(self, window: QWidget, title: str, made: QPushButton) -> None:
        self._answered += 1
        self._wait_until = self._until  # the next look comes after the click
        QTest.qWait(200)  # until the window is painted as it is
        self._picture(window, f"answer-{self._answered}")
        self._say(f"{title}: clicking {made.text()!r}")
        self._click(made)
        self._wait_until = time.monotonic() + 1

    def _write(self, window: QWidget, text: str) -> None:
        field = window.findChild(QPlainTextEdit, "interrupt-text")
        assert field is not None
        field.clear()
        QTest.keyClicks(field, text)

    def _press(self, window: QWidget, key: str) -> None:
        inbox = window.findChild(QListView, "interrupts-list")
        if inbox is not None and inbox.isVisible():
            QTest.keyClicks(inbox, key)

    def _title(self, window: QWidget) -> str:
        found = window.findChild(QLabel, "interrupt-title")
        return found.text() if found is not None else ""

    def _sure(self, window: QWidget, name: str) -> QPushButton:
        found = self._button(window, name)
        assert found is not None, name
        return found


def main(folder: str, pictures: str, scenario: str) -> int:
    application = QApplication(sys.argv[:1])
    paths, project = Paths.from_environment(), load_project(Path(folder))
    user = InterruptsUser(application, project, paths, Path(pictures))
    assert user is not None
    return run_window(project, paths, rehearse=scenario, start=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
