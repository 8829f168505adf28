"""Composes the window by hand, starts the engine behind it, and runs until it is closed."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

from app.config import Paths, Project
from app.control import Control, engine_info
from app.domain.errors import SkerryError
from app.domain.ports import Progress
from app.store.journal import JournalReader
from app.ui.bridge import Bridge
from app.ui.commands import Commands, Connector
from app.ui.engine_watch import EngineState, EngineWatch
from app.ui.feed import JournalFeed
from app.ui.fleet_actions import FleetActions
from app.ui.frame.main_window import MainWindow
from app.ui.single_instance import SingleInstance
from app.ui.theme import Theme
from app.ui.typography import base_font

_START_SIZE = (1280, 820)
_PYTHON_TURN_MS = 200


def run_window(project: Project, paths: Paths, *, rehearse: str | None = None, start: bool = False) -> int:
    """Show ``project`` in a window until it is closed; returns the exit status.

    ``rehearse`` names the scenario of the Run button; ``start`` starts the fleet at once.
    """

    async def connect(progress: Progress) -> Commands:
        return await Control.connect(paths, start_engine=True, progress=progress)

    paths.prepare()
    application = _application()
    instance = SingleInstance(paths.runtime, application)
    if not instance.take():
        return 0 if instance.raise_other() else 1
    desk = Desk(application, project, paths, connect, rehearse)
    instance.raise_wanted.connect(desk.raise_window)
    desk.open(run=start)
    _let_signals_in(application)
    try:
        return application.exec()
    finally:
        desk.close()
        instance.release()


class Desk:
    """Everything behind one window, made once and taken down in order."""

    def __init__(
        self, application: QApplication, project: Project, paths: Paths, connector: Connector, rehearse: str | None
    ) -> None:
        self._application = application
        self.theme = Theme(application, paths.icons)
        application.setWindowIcon(self.theme.mark())
        self.bridge = Bridge()
        self.actions = FleetActions(self.bridge, connector, project, rehearse)
        self.feed = JournalFeed(JournalReader(paths.journal_db), project.fleet_id)
        self.engine = EngineWatch(lambda: _engine_state(paths))
        self.window = MainWindow(project, self.theme, self.feed, self.engine, self.actions, lambda: datetime.now(UTC))
        self.window.quit_wanted.connect(self._quit)
        self._closed = False

    def open(self, *, run: bool = False) -> None:
        """Show the window, then start what is behind it."""
        self.window.resize(*_START_SIZE)
        self.window.show()
        self.feed.start()
        self.actions.connect_engine(self._run_unless_running if run else None)
        self.engine.start()

    def raise_window(self) -> None:
        """Bring the window to the front."""
        self.window.setWindowState(self.window.windowState() & ~Qt.WindowState.WindowMinimized)
        self.window.show()
        self.window.raise_()
        self.window.activateWindow()

    def close(self) -> None:
        """Let go of journal and engine; both go on. Safe to repeat."""
        if not self._closed:
            self._closed = True
            self.feed.stop()
            self.engine.stop()
            self.actions.close()

    def _run_unless_running(self) -> None:
        if not self.feed.caught_up:
            QTimer.singleShot(_PYTHON_TURN_MS, self._run_unless_running)
        elif not self.feed.board.run or self.feed.board.outcome:
            self.actions.run()

    def _quit(self, stop_engine: bool) -> None:
        if stop_engine:
            self.actions.stop_engine(self._application.quit, self._stop_failed)
        else:
            self._application.quit()

    def _stop_failed(self, error: SkerryError) -> None:
        self.window.status.show_progress("")
        self.window.status.show_error(error)


def _engine_state(paths: Paths) -> EngineState:
    info = engine_info(paths)
    return EngineState() if info is None else EngineState(info.pid, info.temporal_ui)


def _application() -> QApplication:
    existing = QApplication.instance()
    application = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    application.setApplicationName("skerry")
    application.setApplicationDisplayName("Skerry")
    application.setDesktopFileName("skerry")
    application.setFont(base_font())
    application.setQuitOnLastWindowClosed(False)
    return application


def _let_signals_in(application: QApplication) -> None:
    """Ctrl+C in the terminal closes the window; Python hears signals only when it gets a turn."""
    signal.signal(signal.SIGINT, lambda *_: application.quit())
    signal.signal(signal.SIGTERM, lambda *_: application.quit())
    turns = QTimer(application)
    turns.timeout.connect(lambda: None)
    turns.start(_PYTHON_TURN_MS)
