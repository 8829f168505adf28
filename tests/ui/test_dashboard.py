"""The dashboard: who needs me, and what the chosen agent does."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QTableView
from pytestqt.qtbot import QtBot

from app.domain.events import AgentStatus
from app.ui.console.view import TranscriptView
from app.ui.frame.navigation import Page
from tests.ui import blueprint
from tests.ui.desk import TestDesk

pytestmark = pytest.mark.gui


def table(desk: TestDesk) -> QTableView:
    found = desk.window.findChild(QTableView, "dashboard-agents")
    assert isinstance(found, QTableView)
    return found


def click_row(desk: TestDesk, qtbot: QtBot, row: int) -> None:
    place = table(desk).visualRect(table(desk).model().index(row, 0)).center()
    QTest.mouseClick(table(desk).viewport(), Qt.MouseButton.LeftButton, pos=place)


def open_full(desk: TestDesk) -> None:
    blueprint.with_question(desk.story)
    desk.open()
    desk.catch_up()


def test_the_agent_that_needs_the_user_is_first_and_chosen(desk: TestDesk, qtbot: QtBot) -> None:
    open_full(desk)
    assert table(desk).model().index(0, 0).data() == blueprint.OWNER
    assert desk.window.dashboard.pane.agent == blueprint.OWNER
    assert table(desk).selectionModel().hasSelection()


def test_a_row_drives_the_consoles(desk: TestDesk, qtbot: QtBot) -> None:
    open_full(desk)
    click_row(desk, qtbot, 2)
    assert desk.window.dashboard.pane.agent == blueprint.TEST
    assert desk.window.console.pane.agent == blueprint.TEST
    transcript = desk.window.findChild(TranscriptView, "dashboard-transcript")
    assert isinstance(transcript, TranscriptView)
    qtbot.waitUntil(lambda: "short test summary info" in transcript.toPlainText())
    name = desk.window.findChild(QLabel, "dashboard-agent")
    assert isinstance(name, QLabel) and name.text() == blueprint.TEST


def test_enter_opens_the_whole_console(desk: TestDesk, qtbot: QtBot) -> None:
    open_full(desk)
    click_row(desk, qtbot, 1)
    QTest.keyClick(table(desk), Qt.Key.Key_Return)
    assert desk.window.page is Page.CONSOLE
    assert desk.window.console.pane.agent == blueprint.DEV


def test_the_choice_stays_when_rows_move(desk: TestDesk, qtbot: QtBot) -> None:
    open_full(desk)
    click_row(desk, qtbot, 2)
    desk.story.state(blueprint.TEST, AgentStatus.FAILED, "gave up")
    desk.catch_up()
    assert table(desk).currentIndex().data() == blueprint.TEST
    assert table(desk).currentIndex().row() == 1
    assert desk.window.dashboard.pane.agent == blueprint.TEST


def test_many_agents_can_be_filtered(desk: TestDesk, qtbot: QtBot) -> None:
    desk.story.start({f"agent-{number}": "" for number in range(12)})
    desk.open()
    desk.catch_up()
    field = desk.window.findChild(QLineEdit, "dashboard-filter")
    assert isinstance(field, QLineEdit) and field.isVisible()
    QTest.keyClicks(field, "agent-11")
    assert table(desk).model().rowCount() == 1


@pytest.mark.parametrize(("width", "hidden"), [(1500, 0), (1000, 2), (800, 4)])
def test_figures_go_where_there_is_no_room(desk: TestDesk, qtbot: QtBot, width: int, hidden: int) -> None:
    open_full(desk)
    desk.window.resize(width, 700)
    qtbot.waitUntil(lambda: sum(table(desk).isColumnHidden(column) for column in range(8)) == hidden)
    assert table(desk).columnWidth(2) > 130
