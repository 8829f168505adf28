"""Orders for agents and the team: each in a menu and on a key, possible only where it makes sense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QInputDialog,
    QLabel,
    QMenu,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QTableView,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.domain.errors import ActionRefused
from app.domain.events import AgentStatus
from app.ui.controls.menu import ControlMenu
from app.ui.controls.verbs import Verb
from tests.ui import blueprint
from tests.ui.desk import TestDesk

pytestmark = pytest.mark.gui


@pytest.fixture
def room(desk: TestDesk, qtbot: QtBot) -> TestDesk:
    """A window on a team at work: one agent in a turn, one idle, one starting."""
    desk.story.start()
    desk.story.state(blueprint.DEV, AgentStatus.RUNNING, "turn 1", 1)
    desk.story.state(blueprint.TEST, AgentStatus.IDLE, "waits for messages")
    desk.open()
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.catch_up()
    desk.window.dashboard.show_agent(blueprint.DEV)
    return desk


def menu(desk: TestDesk) -> ControlMenu:
    found = desk.window.dashboard.findChild(ControlMenu, "agent-menu")
    assert isinstance(found, ControlMenu)
    return found


def orders(desk: TestDesk) -> list[tuple[str, ...]]:
    return [(order[0], *order[2:]) for order in desk.commands.given]


def caught(desk: TestDesk, holds: Callable[[], bool]) -> Callable[[], bool]:
    """Whether it holds once the newest facts are taken in."""

    def look() -> bool:
        desk.catch_up()
        return holds()

    return look


def dialog(kind: type[QWidget], name: str) -> QWidget:
    return next(w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.objectName() == name)


def shown(kind: type[QWidget]) -> list[QWidget]:
    return [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]


def possible(made: ControlMenu) -> set[Verb]:
    return {verb for verb in Verb if verb in made._entries and made.entry(verb).isEnabled()}


@pytest.mark.parametrize(
    ("verb", "order"),
    [
        (Verb.PAUSE, ("pause", blueprint.DEV, "now")),
        (Verb.PAUSE_AFTER, ("pause", blueprint.DEV, "after command")),
        (Verb.PAUSE_TO_DISK, ("pause", blueprint.DEV, "to disk")),
        (Verb.CANCEL_TURN, ("cancel turn", blueprint.DEV)),
        (Verb.CANCEL_TASK, ("cancel task", blueprint.DEV)),
        (Verb.STOP, ("stop", blueprint.DEV)),
    ],
)
def test_an_order_from_the_menu(room: TestDesk, qtbot: QtBot, verb: Verb, order: tuple[str, ...]) -> None:
    menu(room).entry(verb).trigger()
    qtbot.waitUntil(lambda: bool(room.commands.given))
    assert orders(room) == [order]


def test_what_is_possible_follows_the_state(room: TestDesk, qtbot: QtBot) -> None:
    at_work = {Verb.PAUSE, Verb.PAUSE_AFTER, Verb.PAUSE_TO_DISK, Verb.INSTRUCT, Verb.CANCEL_TASK}
    at_work |= {Verb.APPROVE, Verb.STOP, Verb.RESET}
    made = menu(room)
    assert possible(made) == at_work | {Verb.CANCEL_TURN}
    assert "dev-agent is not paused" in made.entry(Verb.RESUME).toolTip()
    assert "dev-agent is at work" in made.entry(Verb.START).toolTip()
    room.window.dashboard.show_agent(blueprint.TEST)
    assert possible(made) == at_work
    assert "no turn under way" in made.entry(Verb.CANCEL_TURN).toolTip()
    room.story.state(blueprint.TEST, AgentStatus.PAUSED, "paused by the user")
    room.catch_up()
    assert possible(made) == {Verb.RESUME, Verb.INSTRUCT, Verb.APPROVE, Verb.STOP}
    assert "paused: resume it first" in made.entry(Verb.RESET).toolTip()
    room.story.state(blueprint.TEST, AgentStatus.STOPPED, "stopped by the user")
    room.catch_up()
    assert possible(made) == {Verb.START, Verb.REMOVE}
    assert "start it again first" in made.entry(Verb.INSTRUCT).toolTip()


def test_without_an_engine_nothing_can_be_ordered(room: TestDesk, qtbot: QtBot) -> None:
    room.actions.engine_gone()
    assert possible(menu(room)) == possible(room.window.controls.team) == set()
    assert "engine is not running" in menu(room).entry(Verb.STOP).toolTip()


def test_keys_order_for_the_chosen_agent(room: TestDesk, qtbot: QtBot) -> None:
    with qtbot.waitActive(room.window):
        room.window.activateWindow()
    table = room.window.findChild(QTableView, "dashboard-agents")
    assert isinstance(table, QTableView)
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(caught(room, menu(room).entry(Verb.RESUME).isEnabled))
    QTest.keyClick(table, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: len(room.commands.given) == 2)
    assert orders(room) == [("pause", blueprint.DEV, "now"), ("resume", blueprint.DEV)]


def test_a_row_opens_the_menu_of_its_agent(room: TestDesk, qtbot: QtBot) -> None:
    table = room.window.findChild(QTableView, "dashboard-agents")
    assert isinstance(table, QTableView)
    row = next(row for row in range(3) if table.model().index(row, 0).data() == blueprint.TEST)
    place: QPoint = table.visualRect(table.model().index(row, 0)).center()
    table.customContextMenuRequested.emit(place)
    assert menu(room).isVisible() and room.window.dashboard.pane.agent == blueprint.TEST
    menu(room).entry(Verb.PAUSE).trigger()
    menu(room).close()
    qtbot.waitUntil(lambda: bool(room.commands.given))
    assert orders(room) == [("pause", blueprint.TEST, "now")]


@pytest.mark.parametrize("modifier", [Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier])
def test_a_key_opens_the_menu_of_the_chosen_agent(room: TestDesk, qtbot: QtBot, modifier: Qt.KeyboardModifier) -> None:
    with qtbot.waitActive(room.window):
        room.window.activateWindow()
    table = room.window.findChild(QTableView, "dashboard-agents")
    assert isinstance(table, QTableView)
    table.setFocus()
    for agent in blueprint.DEV, blueprint.OWNER:
        room.window.dashboard.show_agent(agent)
        key = Qt.Key.Key_Menu if modifier is Qt.KeyboardModifier.NoModifier else Qt.Key.Key_F10
        QTest.keyClick(table, key, modifier)
        assert menu(room).isVisible() and room.window.dashboard.pane.agent == agent
        menu(room).close()


def test_the_buttons_hold_the_menus(room: TestDesk, qtbot: QtBot) -> None:
    for name, made in (
        ("dashboard-orders", "agent-menu"),
        ("console-orders", "agent-menu"),
        ("fleet-orders", "team-menu"),
    ):
        found = room.window.findChild(QPushButton, name)
        assert isinstance(found, QPushButton) and isinstance(found.menu(), QMenu)
        assert found.menu().objectName() == made


def test_the_team_is_paused_and_resumed_where_it_can_be(room: TestDesk, qtbot: QtBot) -> None:
    team = room.window.controls.team
    room.story.state(blueprint.OWNER, AgentStatus.STOPPED, "stopped by the user")
    room.catch_up()
    assert not team.entry(Verb.RESUME).isEnabled()
    assert "No agent is paused" in team.entry(Verb.RESUME).toolTip()
    team.entry(Verb.PAUSE).trigger()
    qtbot.waitUntil(lambda: len(room.commands.given) == 2)
    assert orders(room) == [("pause", blueprint.DEV, "now"), ("pause", blueprint.TEST, "now")]
    room.catch_up()
    team.entry(Verb.START).trigger()
    qtbot.waitUntil(lambda: len(room.commands.given) == 3)
    assert orders(room)[-1] == ("start", blueprint.OWNER)


@pytest.mark.parametrize("mode", ["amend", "replace"])
def test_new_instructions_stand_beside_the_present_ones(room: TestDesk, qtbot: QtBot, mode: str) -> None:
    menu(room).entry(Verb.INSTRUCT).trigger()
    asked = dialog(QWidget, "instruct-dialog")
    present, text = (asked.findChild(QPlainTextEdit, f"instruct-{name}") for name in ("present", "text"))
    give, way = asked.findChild(QPushButton, "instruct-give"), asked.findChild(QRadioButton, f"instruct-{mode}")
    assert present is not None and text is not None and give is not None and way is not None
    assert present.toPlainText() == "(none)" and present.isReadOnly() and not give.isEnabled()
    QTest.keyClicks(text, "Use tabs")
    way.click()
    QTest.mouseClick(give, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(room.commands.given))
    assert orders(room) == [("instruct", blueprint.DEV, "Use tabs", mode)]
    qtbot.waitUntil(caught(room, lambda: bool(room.feed.board.instructions)))
    menu(room).entry(Verb.INSTRUCT).trigger()
    again = [w for w in QApplication.topLevelWidgets() if w.objectName() == "instruct-dialog" and w.isVisible()]
    told = again[-1].findChild(QPlainTextEdit, "instruct-present")
    assert told is not None and told.toPlainText() == "Use tabs"


def test_a_clean_restart_is_confirmed(room: TestDesk, qtbot: QtBot) -> None:
    for answer, given in (("no", []), ("yes", [("reset", blueprint.DEV)])):
        menu(room).entry(Verb.RESET).trigger()
        (box,) = shown(QMessageBox)
        assert isinstance(box, QMessageBox)
        assert box.text() == "Restart dev-agent clean?"
        made = box.findChild(QPushButton, f"confirm-reset-{answer}")
        assert made is not None
        QTest.mouseClick(made, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda given=given: orders(room) == given)  # type: ignore[misc]
        qtbot.waitUntil(lambda: not shown(QMessageBox))


def test_approving_everything_counts_down_in_sight(room: TestDesk, qtbot: QtBot) -> None:
    ten = next(
        a for sub in menu(room).findChildren(QMenu) for a in sub.actions() if a.objectName() == "agent-approve-10"
    )
    ten.trigger()
    qtbot.waitUntil(lambda: bool(room.commands.given))
    assert orders(room) == [("approve all", blueprint.DEV, "600")]
    qtbot.waitUntil(caught(room, room.window.approving.isVisible))
    words = room.window.approving.findChild(QLabel, "approving-words")
    assert isinstance(words, QLabel)
    assert words.text().startswith("Everything is approved for dev-agent, for another 9:5")
    room.late += timedelta(minutes=9)
    room.window.approving.refresh()
    assert "another 0:5" in words.text()
    menu(room).entry(Verb.ASK_AGAIN).trigger()
    qtbot.waitUntil(caught(room, lambda: not room.window.approving.isVisible()))
    assert orders(room)[-1] == ("end approve all", blueprint.DEV)


def test_any_number_of_minutes(room: TestDesk, qtbot: QtBot) -> None:
    team = room.window.controls.team
    other = next(a for sub in team.findChildren(QMenu) for a in sub.actions() if a.objectName() == "team-approve-other")
    other.trigger()
    asked = dialog(QInputDialog, "approve-minutes")
    assert isinstance(asked, QInputDialog) and asked.intMaximum() == 480
    asked.setIntValue(42)
    asked.accept()
    qtbot.waitUntil(lambda: bool(room.commands.given))
    assert orders(room) == [("approve all", "", "2520")]


def test_a_refusal_is_told_and_the_others_are_still_asked(room: TestDesk, qtbot: QtBot) -> None:
    room.commands.refuse = ActionRefused("dev-agent is just ending", hint="see its state")
    menu(room).entry(Verb.PAUSE).trigger()
    words = room.window.findChild(QLabel, "status-words")
    assert isinstance(words, QLabel)
    qtbot.waitUntil(lambda: words.text() == "dev-agent is just ending (see its state)")
    room.window.controls.team.entry(Verb.PAUSE).trigger()
    qtbot.waitUntil(lambda: len(room.commands.given) == 1 + 3)
