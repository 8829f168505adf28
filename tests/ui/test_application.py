"""The composition: the window is up at once, the engine comes behind it, the fleet starts once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.config import Paths
from app.domain.errors import EngineError
from app.domain.ports import Progress
from app.store.journal import Journal
from app.ui import application
from app.ui.application import Desk, run_window
from app.ui.commands import Commands
from app.ui.single_instance import SingleInstance
from tests.ui import blueprint
from tests.ui.desk import MemoryCommands, make_project
from tests.ui.story import Story

pytestmark = pytest.mark.gui


class Place:
    """A project, a journal, and an engine that takes a moment."""

    def __init__(self, paths: Paths, folder: Path) -> None:
        self.paths = paths
        self.project = make_project(folder)
        self.commands = MemoryCommands(Story(Journal(paths.journal_db), self.project.fleet_id))
        self.broken: EngineError | None = None

    async def connect(self, progress: Progress) -> Commands:
        progress("Starting the engine")
        await asyncio.sleep(0.05)
        if self.broken is not None:
            raise self.broken
        return self.commands

    def desk(self, qapp: QApplication, rehearse: str | None = None) -> Desk:
        return Desk(qapp, self.project, self.paths, self.connect, rehearse)


@pytest.fixture
def place(paths: Paths, tmp_path: Path) -> Place:
    return Place(paths, tmp_path / "project")


def test_the_window_is_up_while_the_engine_starts(qapp: QApplication, qtbot: QtBot, place: Place) -> None:
    desk = place.desk(qapp)
    told: list[str] = []
    desk.actions.progress.connect(told.append)
    desk.open()
    assert desk.window.isVisible() and not desk.actions.ready
    qtbot.waitUntil(lambda: desk.actions.ready)
    assert told == ["Starting the engine…", "Starting the engine", ""]
    assert place.commands.given == []
    desk.close()
    desk.close()
    assert place.commands.closed


def test_a_rehearsal_starts_by_itself_once(qapp: QApplication, qtbot: QtBot, place: Place) -> None:
    desk = place.desk(qapp, rehearse="blueprint.yaml")
    desk.open(run=True)
    qtbot.waitUntil(lambda: bool(desk.feed.board.agents))
    assert place.commands.given == [("run", place.project.fleet_id, "blueprint.yaml")]
    desk.close()


def test_a_fleet_that_runs_is_not_started_again(qapp: QApplication, qtbot: QtBot, place: Place) -> None:
    blueprint.first_half(place.commands.story)
    desk = place.desk(qapp)
    desk.open(run=True)
    qtbot.waitUntil(lambda: desk.actions.ready)
    qtbot.wait(100)
    assert place.commands.given == []
    desk.close()


def test_an_engine_that_does_not_start_is_told_below(qapp: QApplication, qtbot: QtBot, place: Place) -> None:
    place.broken = EngineError("port 7233 is taken", hint="stop what uses it")
    desk = place.desk(qapp)
    with qtbot.waitSignal(desk.actions.failed):
        desk.open(run=True)
    assert desk.window.isVisible() and not desk.actions.ready
    place.broken = None
    desk.actions.connect_engine()
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.close()


def test_quit_with_stop_waits_for_the_engine(qapp: QApplication, qtbot: QtBot, place: Place) -> None:
    desk = place.desk(qapp)
    desk.open()
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.window.quit_wanted.emit(True)
    qtbot.waitUntil(lambda: place.commands.given == [("stop engine",)])
    desk.close()


def test_a_second_launch_leaves_at_once(qapp: QApplication, qtbot: QtBot, place: Place) -> None:
    first = SingleInstance(place.paths.runtime)
    assert first.take()
    with qtbot.waitSignal(first.raise_wanted):
        assert run_window(place.project, place.paths) == 0
    first.release()


def test_run_window_runs_until_the_window_is_closed(
    qapp: QApplication, qtbot: QtBot, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, with an engine that cannot be reached: nothing listens in this test's folders."""
    opened: list[Desk] = []
    compose = application.Desk.open

    def open_and_close(desk: Desk, *, run: bool = False) -> None:
        opened.append(desk)
        desk.actions.connect_engine = lambda then=None: None  # type: ignore[method-assign]
        compose(desk, run=run)
        QTimer.singleShot(50, desk.window.close)

    monkeypatch.setattr(application.Desk, "open", open_and_close)
    assert run_window(place.project, place.paths) == 0
    assert len(opened) == 1 and not opened[0].window.isVisible()
    assert SingleInstance(place.paths.runtime).take()
