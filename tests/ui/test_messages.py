"""The message log: live, whole, and a place to write."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QPlainTextEdit, QPushButton, QTableView
from pytestqt.qtbot import QtBot

from app.domain.envelope import MessageState
from app.domain.errors import NotFound
from app.domain.interrupt import Answer
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


def send_and_wait(desk: TestDesk, qtbot: QtBot, choice: str) -> tuple[str, QLabel]:
    """A message whose sender waits; gives its id, and where the composer says how it stands."""
    page = desk.window.messages
    page.write()
    text, note = page.findChild(QPlainTextEdit, "composer-body"), page.findChild(QLabel, "composer-note")
    wait, time = page.findChild(QComboBox, "composer-wait"), page.findChild(QComboBox, "composer-timeout")
    assert isinstance(text, QPlainTextEdit) and isinstance(note, QLabel)
    assert isinstance(wait, QComboBox) and isinstance(time, QComboBox)
    assert not time.isVisible()
    wait.setCurrentText(choice)
    assert time.isVisible() and time.currentText() == "5 minutes"
    QTest.keyClicks(text, "Is it done?")
    QTest.mouseClick(_button(desk, "composer-send"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: note.text().startswith("Waiting for"))
    desk.catch_up()
    return next(reversed(desk.feed.board.messages)), note


def test_waiting_for_the_reply(log: TestDesk, qtbot: QtBot) -> None:
    asked, note = send_and_wait(log, qtbot, "Wait for the reply")
    (letter,) = log.commands.letters
    assert (letter.sync, letter.awaits, letter.timeout) == (True, "reply", 300)
    assert note.text() == "Waiting for dev-agent’s reply, 5 minutes at most"
    log.story.move(asked, MessageState.READ)
    log.catch_up()
    assert note.text().startswith("Waiting"), "it is the reply that is waited for"
    log.story.reply(asked, blueprint.DEV, "Yes.")
    log.story.move(asked, MessageState.ANSWERED)
    log.catch_up()
    assert note.text() == "dev-agent has replied"


def test_waiting_until_it_is_read_or_no_longer_of_use(log: TestDesk, qtbot: QtBot) -> None:
    asked, note = send_and_wait(log, qtbot, "Wait until read")
    assert log.commands.letters[0].awaits == "ack"
    log.story.move(asked, MessageState.READ)
    log.catch_up()
    assert note.text() == "dev-agent has read it"
    wait = log.window.messages.findChild(QComboBox, "composer-wait")
    assert isinstance(wait, QComboBox)
    wait.setCurrentIndex(0)
    asked, note = send_and_wait(log, qtbot, "Wait until read")
    log.story.move(asked, MessageState.EXPIRED)
    log.catch_up()
    assert note.text() == "dev-agent did not read it in time: it is withdrawn"
    assert note.property("tone") == "danger"


def test_a_reply_to_an_agent_offers_no_wait(log: TestDesk, qtbot: QtBot) -> None:
    log.story.send(blueprint.DEV, "user", "Dash or space?", "Which?", MessageState.DELIVERED)
    log.catch_up()
    choose(log, qtbot, 0)
    QTest.mouseClick(_button(log, "message-reply"), Qt.MouseButton.LeftButton)
    wait = log.window.messages.findChild(QComboBox, "composer-wait")
    assert isinstance(wait, QComboBox) and not wait.isVisible()


def test_the_log_stands_beside_the_message_where_there_is_room(log: TestDesk, qtbot: QtBot) -> None:
    splitter = log.window.messages._splitter
    log.window.resize(1600, 900)
    qtbot.waitUntil(lambda: splitter.orientation() is Qt.Orientation.Horizontal)
    log.window.resize(900, 700)
    qtbot.waitUntil(lambda: splitter.orientation() is Qt.Orientation.Vertical)


def talk(desk: TestDesk) -> tuple[str, str]:
    """A conversation with the user, sync from its second message on; gives the ids of question and answer."""
    asked = desk.story.send(blueprint.DEV, "user", "Dash or space?", "Which separator shall it be?", sync=True)
    answer = desk.story.reply(asked, "user", "A dash.", MessageState.DELIVERED, MessageState.READ)
    return asked, answer


def test_filters_by_mode_and_state(log: TestDesk) -> None:
    refused = log.story.send(blueprint.TEST, blueprint.DEV, "late", "text", sync=True)
    log.story.move(refused, MessageState.REFUSED, "the agent has ended")
    log.catch_up()
    rows = log.window.messages.filter
    pick(log, "messages-mode", "sync")
    assert rows.rowCount() == 1 and subject(log) == "late"
    pick(log, "messages-mode", "All modes")
    pick(log, "messages-state", "Waiting")
    assert {rows.index(row, 4).data() for row in range(rows.rowCount())} == {"accepted", "delivered"}
    pick(log, "messages-state", "Refused, expired")
    assert rows.rowCount() == 1
    reason = log.window.messages.findChildren(QLabel, "message-reason")[-1]
    assert reason.text() == "refused: the agent has ended"
    assert "(the agent has ended)" in history(log)


def test_a_message_stands_in_its_conversation(log: TestDesk, qtbot: QtBot) -> None:
    talk(log)
    log.catch_up()
    choose(log, qtbot, 0)
    shown = log.window.messages.detail._entries
    assert [entry.view.envelope.body for entry in shown] == ["Which separator shall it be?", "A dash."]
    assert body(log) == "A dash."
    caption = log.window.messages.findChild(QLabel, "thread-caption")
    assert isinstance(caption, QLabel) and caption.text() == "Conversation of 2 messages, oldest first"
    qtbot.waitUntil(shown[0].isVisible)
    QTest.mouseClick(shown[0], Qt.MouseButton.LeftButton, pos=shown[0].rect().topLeft() + QPoint(4, 4))
    assert body(log) == "Which separator shall it be?"


def test_a_message_to_the_user_is_read_when_it_was_shown_whole(log: TestDesk, qtbot: QtBot) -> None:
    log.window.turn_to(Page.DASHBOARD)
    short = log.story.send(blueprint.DEV, "user", "For you", "Done.")
    log.catch_up()
    qtbot.waitUntil(lambda: not log.window.messages.detail._settle.isActive())
    assert log.commands.given == []
    log.window.turn_to(Page.MESSAGES)
    qtbot.waitUntil(lambda: ("mark read", short) in log.commands.given)
    long = log.story.send(blueprint.DEV, "user", "Long", "line\n" * 400)
    log.catch_up()
    choose(log, qtbot, 0)
    bar = log.window.messages.detail._area.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and not log.window.messages.detail._settle.isActive())
    assert len(log.commands.given) == 1
    bar.setValue(bar.maximum())
    qtbot.waitUntil(lambda: log.commands.given[1:] == [("mark read", long)])
    qtbot.waitUntil(lambda: log.feed.board.messages[long].state is MessageState.READ)


def test_replying_to_a_message(log: TestDesk, qtbot: QtBot) -> None:
    assert not _button(log, "message-reply").isVisible()
    asked = log.story.send(blueprint.DEV, "user", "Dash or space?", "Which?")
    log.catch_up()
    choose(log, qtbot, 0)
    QTest.mouseClick(_button(log, "message-reply"), Qt.MouseButton.LeftButton)
    text = log.window.messages.findChild(QPlainTextEdit, "composer-body")
    target = log.window.messages.findChild(QLabel, "composer-target")
    assert isinstance(text, QPlainTextEdit) and isinstance(target, QLabel)
    assert target.text() == "dev-agent: Dash or space?"
    QTest.keyClicks(text, "A dash.")
    QTest.mouseClick(_button(log, "composer-send"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: ("reply", log.project.fleet_id, asked, "A dash.") in log.commands.given)
    qtbot.waitUntil(lambda: text.toPlainText() == "")
    assert not target.isVisible()


def test_a_held_message_is_decided_in_place(log: TestDesk, qtbot: QtBot) -> None:
    message, interrupt = log.story.hold(blueprint.TEST, blueprint.OWNER, "May I?", "Tell you", "not allowed to write")
    log.catch_up()
    choose(log, qtbot, 0)
    words = [_button(log, f"decision-{number}").text() for number in range(3)]
    assert words == ["Deliver once", "Always", "Refuse"]
    log.commands.refuse = NotFound("no agent", hint="see the dashboard")
    QTest.mouseClick(_button(log, "decision-1"), Qt.MouseButton.LeftButton)
    status = log.window.messages.findChild(QLabel, "decision-status")
    assert isinstance(status, QLabel)
    qtbot.waitUntil(lambda: status.text() == "no agent (see the dashboard)")
    log.commands.refuse = None
    QTest.mouseClick(_button(log, "decision-1"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(log.commands.answers))
    assert log.commands.answers == [(interrupt, Answer(option="Always"))]
    log.story.move(message, MessageState.ACCEPTED, "the user allows this always")
    log.catch_up()
    assert not _button(log, "decision-1").isVisible()


def pick(desk: TestDesk, name: str, words: str) -> None:
    box = desk.window.messages.findChild(QComboBox, name)
    assert isinstance(box, QComboBox)
    box.setCurrentText(words)


def _button(desk: TestDesk, name: str) -> QPushButton:
    found = desk.window.findChild(QPushButton, name)
    assert isinstance(found, QPushButton)
    return found
