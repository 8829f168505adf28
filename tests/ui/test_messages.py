"""The message log: live, whole, and a place to write."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QPlainTextEdit, QPushButton, QTableView
from pytestqt.qtbot import QtBot

from app.domain.envelope import MessageState
from app.domain.errors import NotFound
from app.ui.frame.navigation import Page
from tests.ui import blueprint
from tests.ui.desk import TestDesk

pytestmark = pytest.mark.gui


@pytest.fixture
def log(desk: TestDesk, qtbot: QtBot) -> TestDesk:
    """A window with messages, on their page."""
    blueprint.with_question(desk.story)
    desk.open()
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.catch_up()
    desk.window.turn_to(Page.MESSAGES)
    return desk


def subject(desk: TestDesk) -> str:
    found = desk.window.messages.findChild(QLabel, "message-subject")
    assert isinstance(found, QLabel)
    return found.text()


def history(desk: TestDesk) -> str:
    return [found.text() for found in desk.window.messages.findChildren(QLabel, "message-history")][-1]


def body(desk: TestDesk) -> str:
    found = desk.window.messages.findChildren(QLabel, "reader")[-1]
    return found.text()


def choose(desk: TestDesk, qtbot: QtBot, row: int) -> None:
    table = desk.window.messages.findChild(QTableView, "messages-table")
    assert isinstance(table, QTableView)
    QTest.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(table.model().index(row, 1)).center()
    )


def test_the_newest_is_on_top_and_shown(log: TestDesk) -> None:
    assert subject(log) == "Speed of slugify()"
    assert history(log).startswith("accepted ")
    assert log.window.navigation.button(Page.MESSAGES).count == 7


def test_a_message_is_shown_whole(log: TestDesk, qtbot: QtBot) -> None:
    choose(log, qtbot, 2)
    assert subject(log) == "All 5 tests pass"
    assert body(log) == "All five tests pass now. The report is in report.txt."
    assert [step.split()[0] for step in history(log).split("→")] == ["accepted", "delivered", "read"]


def test_states_move_on_while_one_reads(log: TestDesk, qtbot: QtBot) -> None:
    newest = next(reversed(log.feed.board.messages))
    log.story.move(newest, MessageState.DELIVERED)
    log.story.move(newest, MessageState.READ)
    log.story.send(blueprint.TEST, blueprint.DEV, "newer", "text")
    log.catch_up()
    assert subject(log) == "Speed of slugify()"
    assert "read" in history(log)


def test_hostile_text_is_shown_as_it_is(log: TestDesk, qtbot: QtBot) -> None:
    log.story.send(blueprint.DEV, blueprint.TEST, "<b>bold</b>", "<img src='file:///etc/passwd'>\u202etxt")
    log.catch_up()
    choose(log, qtbot, 0)
    assert subject(log) == "<b>bold</b>"
    assert body(log) == "<img src='file:///etc/passwd'>\ufffdtxt"


def test_filters(log: TestDesk, qtbot: QtBot) -> None:
    who = log.window.messages.findChild(QComboBox, "messages-agent")
    words = log.window.messages.findChild(QLineEdit, "messages-filter")
    assert isinstance(who, QComboBox) and isinstance(words, QLineEdit)
    who.setCurrentText("You")
    assert log.window.messages.filter.rowCount() == 1 and body(log) == "Please also keep an eye on speed."
    who.setCurrentIndex(0)
    QTest.keyClicks(words, "umlauts EMPTY")
    found = [log.window.messages.filter.index(row, 2).data() for row in range(log.window.messages.filter.rowCount())]
    assert found == ["Repaired: umlauts and empty text", "2 of 5 tests fail", "Feature X: slugify()"]
    QTest.keyClicks(words, " nothing like it")
    assert log.window.messages.filter.rowCount() == 0
    log.catch_up()


def test_writing_to_an_agent(log: TestDesk, qtbot: QtBot) -> None:
    page = log.window.messages
    with qtbot.waitActive(log.window):
        log.window.activateWindow()
    QTest.mouseClick(_button(log, "messages-write"), Qt.MouseButton.LeftButton)
    text = page.findChild(QPlainTextEdit, "composer-body")
    recipient = page.findChild(QComboBox, "composer-recipient")
    title = page.findChild(QLineEdit, "composer-subject")
    assert isinstance(text, QPlainTextEdit) and isinstance(recipient, QComboBox) and isinstance(title, QLineEdit)
    assert text.hasFocus() and recipient.currentText() == blueprint.DEV
    assert not _button(log, "composer-send").isEnabled()
    recipient.setCurrentText(blueprint.OWNER)
    QTest.keyClicks(title, "Scope")
    QTest.keyClicks(text, "Please keep it small.")
    QTest.keyClick(text, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(log.commands.given))
    assert log.commands.given == [("send", log.project.fleet_id, blueprint.OWNER, "Please keep it small.", "Scope")]
    qtbot.waitUntil(lambda: text.toPlainText() == "")
    log.catch_up()
    assert log.feed.board.messages[next(reversed(log.feed.board.messages))].envelope.sender == "user"
    QTest.keyClick(text, Qt.Key.Key_Escape)
    assert not page.composer.isVisible()


def test_a_refused_message_stays_written(log: TestDesk, qtbot: QtBot) -> None:
    log.commands.refuse = NotFound("dev-agent is not at work", hint="see the dashboard")
    log.window.messages.write()
    text = log.window.messages.findChild(QPlainTextEdit, "composer-body")
    assert isinstance(text, QPlainTextEdit)
    QTest.keyClicks(text, "Hello")
    QTest.mouseClick(_button(log, "composer-send"), Qt.MouseButton.LeftButton)
    note = log.window.messages.findChild(QLabel, "composer-note")
    assert isinstance(note, QLabel)
    qtbot.waitUntil(lambda: note.text() == "dev-agent is not at work (see the dashboard)")
    assert text.toPlainText() == "Hello" and _button(log, "composer-send").isEnabled()


def test_the_log_stands_beside_the_message_where_there_is_room(log: TestDesk, qtbot: QtBot) -> None:
    splitter = log.window.messages._splitter
    log.window.resize(1600, 900)
    qtbot.waitUntil(lambda: splitter.orientation() is Qt.Orientation.Horizontal)
    log.window.resize(900, 700)
    qtbot.waitUntil(lambda: splitter.orientation() is Qt.Orientation.Vertical)


def _button(desk: TestDesk, name: str) -> QPushButton:
    found = desk.window.findChild(QPushButton, name)
    assert isinstance(found, QPushButton)
    return found
