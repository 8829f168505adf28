"""The interrupt panel: answered by mouse and by keyboard, and honest about what became of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QLabel, QListView, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.domain import events as ev
from app.domain.errors import ActionRefused
from app.domain.interrupt import Answer, Exhibit, Interrupt, InterruptKind, Risk
from app.ui.frame.navigation import Page
from tests.ui import blueprint
from tests.ui.desk import TestDesk

pytestmark = pytest.mark.gui
OPTIONS = ("Drop them", "Keep them", "Raise an error")


@pytest.fixture
def panel(desk: TestDesk, qtbot: QtBot) -> TestDesk:
    """An open window that has nothing to ask yet."""
    desk.open()
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.story.start()
    return desk


def find(desk: TestDesk, kind: type[QLabel] | type[QPushButton], name: str) -> QLabel | QPushButton:
    found = desk.window.interrupts.findChild(kind, name)
    assert found is not None, name
    return found


def inbox(desk: TestDesk) -> QListView:
    found = desk.window.interrupts.findChild(QListView, "interrupts-list")
    assert isinstance(found, QListView)
    return found


def press(desk: TestDesk, qtbot: QtBot, name: str) -> None:
    QTest.mouseClick(find(desk, QPushButton, name), Qt.MouseButton.LeftButton)


def type_text(desk: TestDesk, qtbot: QtBot, text: str) -> None:
    editor = desk.window.interrupts.findChild(QPlainTextEdit, "interrupt-text")
    assert isinstance(editor, QPlainTextEdit)
    QTest.keyClicks(editor, text)


def ask(desk: TestDesk, qtbot: QtBot, *options: str, default: str = "", title: str = "Which?") -> str:
    question = desk.story.ask(blueprint.OWNER, title, "details", options, default)
    desk.catch_up()
    desk.window.open_interrupt(question)
    return question


def test_a_click_on_an_option_answers(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, qtbot, *OPTIONS, default="Keep them")
    assert find(panel, QPushButton, "interrupt-option-1").isChecked()  # type: ignore[union-attr]
    press(panel, qtbot, "interrupt-option-0")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(option="Drop them"))]
    panel.catch_up()
    assert find(panel, QLabel, "interrupt-outcome").text() == "“Drop them”"
    assert find(panel, QLabel, "interrupt-outcome").isVisible()
    assert not panel.window.interrupts.detail.form.isVisible()
    assert panel.window.navigation.button(Page.INTERRUPTS).count == 0


def test_keys_pick_and_send(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, qtbot, *OPTIONS, default="Keep them")
    QTest.keyClicks(inbox(panel), "3")
    send = find(panel, QPushButton, "interrupt-send")
    assert send.text() == "Send “Raise an error”"
    assert panel.commands.answers == []
    with qtbot.waitActive(panel.window):
        panel.window.activateWindow()
    QTest.keyClick(inbox(panel), Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(option="Raise an error"))]


def test_the_default_is_sent_when_nothing_is_written(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, qtbot, *OPTIONS, default="Keep them")
    press(panel, qtbot, "interrupt-send")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(option="Keep them"))]


def test_own_words_replace_the_default(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, qtbot, *OPTIONS, default="Keep them")
    type_text(panel, qtbot, "Only Latin 1")
    assert find(panel, QPushButton, "interrupt-send").text() == "Send answer"
    press(panel, qtbot, "interrupt-send")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(text="Only Latin 1"))]


def test_ctrl_enter_in_the_text_sends(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, qtbot)
    assert not find(panel, QPushButton, "interrupt-send").isEnabled()
    with qtbot.waitActive(panel.window):
        panel.window.activateWindow()
    QTest.keyClicks(inbox(panel), "r")
    editor = panel.window.interrupts.findChild(QPlainTextEdit, "interrupt-text")
    assert isinstance(editor, QPlainTextEdit) and editor.hasFocus()
    QTest.keyClicks(editor, "jk1 in the text stay text")
    QTest.keyClick(editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(text="jk1 in the text stay text"))]


def test_text_goes_along_with_an_option(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, qtbot, "Once", "No")
    type_text(panel, qtbot, "but hurry")
    press(panel, qtbot, "interrupt-option-0")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(question, Answer(option="Once", text="but hurry"))]


def test_j_and_k_walk_over_headings(panel: TestDesk, qtbot: QtBot) -> None:
    first = ask(panel, qtbot, title="first")
    panel.story.answered(first, Answer(text="yes"))
    second = ask(panel, qtbot, title="second")
    third = ask(panel, qtbot, title="third")
    page = panel.window.interrupts
    page.show_interrupt(second)
    walked = []
    for key in "jjjkkk":
        QTest.keyClicks(inbox(panel), key)
        assert page.detail.shown is not None
        walked.append(page.detail.shown.id)
    assert walked == [third, first, first, third, second, second]


def test_an_error_stands_beside_the_question_and_the_text_stays(panel: TestDesk, qtbot: QtBot) -> None:
    ask(panel, qtbot)
    panel.commands.refuse = ActionRefused("the answer is too long", hint="shorten it")
    type_text(panel, qtbot, "a long answer")
    press(panel, qtbot, "interrupt-send")
    error = find(panel, QLabel, "interrupt-error")
    qtbot.waitUntil(error.isVisible)
    assert error.text() == "the answer is too long (shorten it)"
    panel.commands.refuse = None
    press(panel, qtbot, "interrupt-send")
    qtbot.waitUntil(lambda: len(panel.commands.answers) == 1)
    assert panel.commands.answers[0][1].text == "a long answer"
    assert not error.isVisible()


def test_somebody_else_was_quicker(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, qtbot)
    panel.commands.answers.append((question, Answer(text="from the terminal")))
    type_text(panel, qtbot, "mine")
    press(panel, qtbot, "interrupt-send")
    error = find(panel, QLabel, "interrupt-error")
    qtbot.waitUntil(error.isVisible)
    panel.story.answered(question, Answer(text="from the terminal"))
    panel.catch_up()
    assert find(panel, QLabel, "interrupt-outcome").text() == "from the terminal"
    assert "answered already" in error.text() and error.isVisible()


def test_two_clicks_give_one_answer(panel: TestDesk, qtbot: QtBot) -> None:
    ask(panel, qtbot, "Yes", "No")
    panel.commands.delay = 0.1
    press(panel, qtbot, "interrupt-option-0")
    assert find(panel, QLabel, "interrupt-status").text() == "Sending your answer…"
    press(panel, qtbot, "interrupt-option-1")
    press(panel, qtbot, "interrupt-send")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    qtbot.wait(150)
    assert [order for order in panel.commands.given if order[0] == "answer"] == [panel.commands.given[-1]]


def test_an_approval_needs_an_option(panel: TestDesk, qtbot: QtBot) -> None:
    approval = panel.story.ask(blueprint.DEV, "Run 'git push'?", options=("Once", "No"), kind=InterruptKind.APPROVAL)
    panel.catch_up()
    panel.window.open_interrupt(approval)
    type_text(panel, qtbot, "not on Fridays")
    assert not find(panel, QPushButton, "interrupt-send").isEnabled()
    panel.window.interrupts.detail.form.choose(1)
    assert find(panel, QPushButton, "interrupt-send").text() == "Send “No” with note"
    press(panel, qtbot, "interrupt-send")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(approval, Answer(option="No", text="not on Fridays"))]


def test_a_report_is_marked_as_seen(panel: TestDesk, qtbot: QtBot) -> None:
    report = panel.story.ask(blueprint.TEST, "Half is done", kind=InterruptKind.PROGRESS_REPORT)
    panel.catch_up()
    panel.window.open_interrupt(report)
    assert find(panel, QPushButton, "interrupt-send").text() == "Mark as seen"
    assert not panel.window.attention.isVisible()
    press(panel, qtbot, "interrupt-send")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(report, Answer())]


def test_what_was_typed_stays_when_other_facts_arrive(panel: TestDesk, qtbot: QtBot) -> None:
    question = ask(panel, qtbot)
    type_text(panel, qtbot, "half an ans")
    panel.story.ask(blueprint.DEV, "another question")
    panel.catch_up()
    shown = panel.window.interrupts.detail.shown
    assert shown is not None and shown.id == question
    assert find(panel, QPushButton, "interrupt-send").isEnabled()


def test_without_an_engine_nothing_can_be_answered(desk: TestDesk, qtbot: QtBot) -> None:
    blueprint.with_question(desk.story)
    desk.open(connect=False)
    desk.catch_up()
    desk.window.turn_to(Page.INTERRUPTS)
    assert not find(desk, QPushButton, "interrupt-option-0").isEnabled()
    assert "engine is not running" in find(desk, QLabel, "interrupt-status").text()
    desk.actions.connect_engine()
    qtbot.waitUntil(find(desk, QPushButton, "interrupt-option-0").isEnabled)


def test_a_held_message_is_shown_and_decided(panel: TestDesk, qtbot: QtBot) -> None:
    message = panel.story.send(blueprint.OWNER, blueprint.DEV, "Please", "Implement <b>it</b>")
    approval = panel.story.ask(
        blueprint.OWNER,
        "product-owner-agent wants to write to dev-agent",
        options=("Deliver once", "Refuse"),
        kind=InterruptKind.APPROVAL,
        message_id=message,
    )
    panel.catch_up()
    assert panel.window.attention.isVisible()
    assert panel.window.navigation.button(Page.INTERRUPTS).count == 1
    panel.window.open_interrupt(approval)
    held = find(panel, QLabel, "interrupt-held")
    assert held.isVisible() and held.text() == "Implement <b>it</b>"
    press(panel, qtbot, "interrupt-option-0")
    qtbot.waitUntil(lambda: bool(panel.commands.answers))
    assert panel.commands.answers == [(approval, Answer(option="Deliver once"))]


def raise_approval(desk: TestDesk, number: int, **more: object) -> str:
    item = Interrupt(
        id=f"i-{number}",
        agent=blueprint.DEV,
        kind=InterruptKind.APPROVAL,
        title=f"Approval {number}",
        options=("Once", "No"),
        raised_at=desk.story.at,
        **more,
    )
    desk.story.tell(ev.InterruptRaised, blueprint.DEV, interrupt=item)
    return item.id


def test_risk_time_and_exhibits_are_shown(panel: TestDesk, qtbot: QtBot) -> None:
    low = raise_approval(panel, 1)
    late = panel.story.at + panel.late + timedelta(minutes=30)
    diff = Exhibit(name="fix.diff", media_type="text/x-diff", text="-a\n+b")
    high = raise_approval(panel, 2, risk=Risk.HIGH, expires_at=late, exhibits=(diff,))
    panel.catch_up()
    page = panel.window.interrupts
    panel.window.open_interrupt(high)
    assert find(panel, QLabel, "interrupt-exhibits").text() == "fix.diff (text/x-diff)\n-a\n+b"
    assert find(panel, QLabel, "interrupt-exhibits").isVisible()
    order = [page.sorter.index(row, 0).data() for row in range(page.sorter.rowCount())]
    assert next(words for words in order if "Approval" in words and ":" in words).endswith("Approval 2")
    panel.window.open_interrupt(low)
    assert not find(panel, QLabel, "interrupt-exhibits").isVisible()


def test_a_group_is_answered_with_one_click(panel: TestDesk, qtbot: QtBot) -> None:
    first, second = (raise_approval(panel, number, group="push") for number in (1, 2))
    other = raise_approval(panel, 3, group="sudo")
    panel.catch_up()
    panel.window.open_interrupt(first)
    together = panel.window.interrupts.findChild(QCheckBox, "interrupt-together")
    assert isinstance(together, QCheckBox) and together.isVisible()
    assert together.text() == "Answer all 2 like this one"
    together.click()
    press(panel, qtbot, "interrupt-option-1")
    qtbot.waitUntil(lambda: len(panel.commands.answers) == 2)
    assert panel.commands.answers == [(first, Answer(option="No")), (second, Answer(option="No"))]
    panel.catch_up()
    panel.window.open_interrupt(other)
    assert not together.isVisible()


def test_approving_everything_is_in_sight_and_ended_by_a_click(panel: TestDesk, qtbot: QtBot) -> None:
    strip = panel.window.approving
    assert not strip.isVisible()
    panel.story.tell(ev.ApprovalsOpened, until=panel.story.at + timedelta(minutes=30))
    panel.catch_up()
    words = strip.findChild(QLabel, "approving-words")
    assert strip.isVisible() and words is not None
    end = strip.findChild(QPushButton, "approving-end")
    assert end is not None
    QTest.mouseClick(end, Qt.MouseButton.LeftButton)

    def is_gone() -> bool:
        panel.catch_up()
        return not strip.isVisible()

    qtbot.waitUntil(is_gone)
