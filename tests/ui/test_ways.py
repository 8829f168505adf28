"""The other ways to meet a question: new instructions, an end, all alike; and what comes too late."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QListView, QPlainTextEdit
from pytestqt.qtbot import QtBot

from app.domain.events import InterruptSettled
from app.domain.interrupt import Answer, InterruptKind, InterruptState
from tests.ui import blueprint
from tests.ui.desk import TestDesk

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(desk: TestDesk, qtbot: QtBot) -> TestDesk:
    """An open window that has nothing to ask yet."""
    desk.open()
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.story.start()
    return desk


def ask(desk: TestDesk, kind: InterruptKind = InterruptKind.USER_INPUT, *options: str) -> str:
    question = desk.story.ask(blueprint.DEV, "Which?", "", options, kind=kind)
    desk.catch_up()
    desk.window.open_interrupt(question)
    return question


def part(desk: TestDesk, name: str) -> QAbstractButton:
    page = desk.window.interrupts
    found = page.findChild(QAbstractButton, name)
    assert isinstance(found, QAbstractButton), name
    return found


def click(desk: TestDesk, name: str) -> None:
    found = part(desk, name)
    assert found.isVisible() and found.isEnabled(), name
    found.click()


def editor(desk: TestDesk) -> QPlainTextEdit:
    found = desk.window.interrupts.findChild(QPlainTextEdit, "interrupt-text")
    assert isinstance(found, QPlainTextEdit)
    return found


def keys(desk: TestDesk, pressed: str) -> None:
    found = desk.window.interrupts.findChild(QListView, "interrupts-list")
    assert isinstance(found, QListView)
    QTest.keyClicks(found, pressed)


@pytest.mark.parametrize("kind", list(InterruptKind))
@pytest.mark.parametrize("mode", ["amend", "replace"])
def test_every_kind_can_be_met_with_new_instructions(
    panel: TestDesk, qtbot: QtBot, kind: InterruptKind, mode: str
) -> None:
    question = ask(panel, kind, "Yes", "No")
    click(panel, "interrupt-way-instruct")
    assert not part(panel, "interrupt-option-0").isVisible()
    assert not part(panel, "interrupt-send").isEnabled()
    QTest.keyClicks(editor(panel), "Leave it")
    click(panel, f"interrupt-{mode}")
    assert part(panel, "interrupt-send").text() == ("Give" if mode == "amend" else "Replace") + " instructions"
    click(panel, "interrupt-send")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    (given,) = panel.commands.answers
    assert given == (question, Answer.model_validate({"action": "modify", "text": "Leave it", "mode": mode}))


@pytest.mark.parametrize("kind", list(InterruptKind))
@pytest.mark.parametrize("scope", ["task", "agent"])
def test_every_kind_can_be_called_off(panel: TestDesk, qtbot: QtBot, kind: InterruptKind, scope: str) -> None:
    question = ask(panel, kind, "Yes", "No")
    click(panel, "interrupt-way-cancel")
    assert not editor(panel).isVisible()
    click(panel, f"interrupt-cancel-{scope}")
    assert part(panel, "interrupt-send").text() == ("Cancel the task" if scope == "task" else "Stop the agent")
    click(panel, "interrupt-send")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    (given,) = panel.commands.answers
    assert given == (question, Answer.model_validate({"action": "cancel", "scope": scope}))


def test_keys_lead_to_each_way_and_back(panel: TestDesk, qtbot: QtBot) -> None:
    with qtbot.waitActive(panel.window):
        panel.window.activateWindow()
    question = ask(panel, InterruptKind.APPROVAL, "Once", "Deny")
    keys(panel, "c")
    assert part(panel, "interrupt-cancel-task").isChecked()
    keys(panel, "n")
    assert editor(panel).hasFocus() and part(panel, "interrupt-amend").isVisible()
    keys(panel, "2")  # an option is an answer
    assert part(panel, "interrupt-send").text() == "Send “Deny”"
    keys(panel, "c")
    QTest.keyClick(editor(panel), Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(action="cancel", scope="task"))]


def test_an_option_says_that_a_note_goes_along(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, InterruptKind.APPROVAL, "Allow once", "Always", "Deny")
    assert part(panel, "interrupt-option-2").text() == "3   Deny"
    QTest.keyClicks(editor(panel), "not on Fridays")
    assert part(panel, "interrupt-option-2").text() == "3   Deny   + your note"
    click(panel, "interrupt-option-2")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(option="Deny", text="not on Fridays"))]


def test_the_next_question_begins_with_a_plain_answer(panel: TestDesk, qtbot: QtBot) -> None:
    first, second = ask(panel), ask(panel)
    panel.window.open_interrupt(first)
    click(panel, "interrupt-way-cancel")
    click(panel, "interrupt-cancel-agent")
    panel.window.open_interrupt(second)
    assert part(panel, "interrupt-way-answer").isChecked() and editor(panel).isVisible()
    click(panel, "interrupt-way-cancel")
    assert part(panel, "interrupt-cancel-task").isChecked()


def test_what_was_written_too_late_is_not_lost_from_sight(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel)
    QTest.keyClicks(editor(panel), "half an answer")
    panel.story.tell(InterruptSettled, interrupt_id=question, state=InterruptState.WITHDRAWN)
    panel.catch_up()
    error = panel.window.interrupts.findChild(QLabel, "interrupt-error")
    assert isinstance(error, QLabel) and error.isVisible()
    assert error.text() == "Too late: this was closed while you wrote. Not sent: “half an answer”"


def test_an_answer_that_was_sent_too_late_says_so(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel)
    panel.commands.answers.append((question, Answer(text="from the terminal")))
    QTest.keyClicks(editor(panel), "mine")
    click(panel, "interrupt-send")
    error = panel.window.interrupts.findChild(QLabel, "interrupt-error")
    assert isinstance(error, QLabel)
    qtbot.waitUntil(error.isVisible)
    assert error.text() == f"Too late: {question} is answered already. Not sent: “mine”"


def test_an_answer_that_was_on_its_way_when_the_engine_went_can_be_given_again(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, InterruptKind.APPROVAL, "Once", "No")
    panel.commands.delay = 60  # it never arrives
    click(panel, "interrupt-option-0")
    qtbot.waitUntil(lambda: bool(panel.commands.given))
    panel.actions.engine_gone()
    panel.commands.delay = 0
    panel.actions.connect_engine()
    qtbot.waitUntil(part(panel, "interrupt-option-0").isEnabled)
    click(panel, "interrupt-option-1")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(option="No"))]


@pytest.mark.parametrize(
    ("by", "caption"),
    [("user", "Your answer"), ("file", "Answered from a file"), ("approve-all", "Given, as everything was approved")],
)
def test_who_answered_is_said(panel: TestDesk, qtbot: QtBot, by: str, caption: str) -> None:
    question = ask(panel)
    panel.story.answered(question, Answer(text="yes", by=by))
    panel.catch_up()
    assert caption in [label.text() for label in panel.window.interrupts.findChildren(QLabel) if label.isVisible()]
