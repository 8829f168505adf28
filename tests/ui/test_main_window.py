"""The frame: who is called, what can be started and stopped, and that nothing blocks."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QObject, Qt, QTimer, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.domain.errors import EngineError
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.ui.engine_watch import EngineState
from app.ui.frame.navigation import Page
from app.ui.widgets.chips import Chip
from tests.ui import blueprint
from tests.ui.desk import TestDesk

pytestmark = pytest.mark.gui


def button(desk: TestDesk, name: str) -> QPushButton:
    found = desk.window.findChild(QPushButton, name)
    assert isinstance(found, QPushButton), name
    return found


def click(desk: TestDesk, qtbot: QtBot, name: str) -> None:
    QTest.mouseClick(button(desk, name), Qt.MouseButton.LeftButton)


def words(desk: TestDesk, name: str) -> str:
    found = desk.window.findChild(QLabel, name)
    assert isinstance(found, QLabel), name
    return found.text()


def open_ready(desk: TestDesk, qtbot: QtBot) -> None:
    desk.open()
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.catch_up()


def test_the_strip_leads_to_the_question(desk: TestDesk, qtbot: QtBot) -> None:
    question = blueprint.with_question(desk.story)
    open_ready(desk, qtbot)
    assert words(desk, "attention-words").startswith("product-owner-agent asks: What should slugify() do")
    assert desk.window.windowTitle() == "(1) feature-x — Skerry"
    click(desk, qtbot, "attention-go")
    shown = desk.window.interrupts.detail.shown
    assert desk.window.page is Page.INTERRUPTS and shown is not None and shown.id == question
    assert not desk.window.attention.isVisible()
    desk.window.turn_to(Page.DASHBOARD)
    assert desk.window.attention.isVisible()
    desk.story.answered(question, Answer(option="Keep them"))
    desk.catch_up()
    assert not desk.window.attention.isVisible()
    assert desk.window.windowTitle() == "feature-x — Skerry"


def test_the_strip_leads_to_an_agent_that_failed(desk: TestDesk, qtbot: QtBot) -> None:
    desk.story.start()
    desk.story.state(blueprint.DEV, AgentStatus.FAILED, "no disk space")
    open_ready(desk, qtbot)
    assert words(desk, "attention-words") == "dev-agent failed: no disk space"
    click(desk, qtbot, "attention-go")
    assert desk.window.page is Page.CONSOLE and desk.window.console.pane.agent == blueprint.DEV


def test_navigation(desk: TestDesk, qtbot: QtBot) -> None:
    blueprint.with_question(desk.story)
    open_ready(desk, qtbot)
    for page in reversed(Page):
        click(desk, qtbot, f"nav-{page.value}")
        assert desk.window.page is page
    counts = {page: desk.window.navigation.button(page).count for page in Page}
    assert counts == {Page.DASHBOARD: 3, Page.MESSAGES: 7, Page.INTERRUPTS: 1, Page.CONSOLE: 0}
    with qtbot.waitActive(desk.window):
        desk.window.activateWindow()
    QTest.keyClick(desk.window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: desk.window.page is Page.INTERRUPTS)


def test_run_and_stop(desk: TestDesk, qtbot: QtBot) -> None:
    open_ready(desk, qtbot)
    assert words(desk, "fleet-line") == "3 agents declared · not started"
    click(desk, qtbot, "fleet-run")
    assert button(desk, "fleet-run").text() == "Starting…" and not button(desk, "fleet-run").isEnabled()
    qtbot.waitUntil(lambda: button(desk, "fleet-stop").isVisible())
    assert words(desk, "fleet-line").startswith("Running for 4:")
    click(desk, qtbot, "fleet-stop")
    qtbot.waitUntil(lambda: button(desk, "fleet-run").isVisible() and button(desk, "fleet-run").isEnabled())
    assert [order[0] for order in desk.commands.given] == ["run", "stop"]
    assert words(desk, "fleet-line").startswith("Stopped after ")


def test_a_command_that_fails_is_told_below(desk: TestDesk, qtbot: QtBot) -> None:
    open_ready(desk, qtbot)
    desk.commands.refuse = EngineError("no image is built", hint="run 'skerry image build'")
    click(desk, qtbot, "fleet-run")
    qtbot.waitUntil(lambda: words(desk, "status-words") == "no image is built (run 'skerry image build')")
    assert button(desk, "fleet-run").isEnabled()
    click(desk, qtbot, "status-dismiss")
    assert words(desk, "status-words").startswith("Closing this window stops nothing")


def test_an_engine_that_went_can_be_started_again(desk: TestDesk, qtbot: QtBot) -> None:
    open_ready(desk, qtbot)
    assert words(desk, "status-engine") == "Engine running"
    desk.engine_state = EngineState()
    desk.engine.look()
    assert words(desk, "status-engine") == "Engine not running"
    assert not button(desk, "fleet-run").isEnabled()
    qtbot.waitUntil(lambda: desk.commands.closed)
    click(desk, qtbot, "engine-start")
    qtbot.waitUntil(lambda: desk.actions.ready)
    assert button(desk, "fleet-run").isEnabled()


def test_an_engine_that_went_while_it_was_connected_to_is_seen_to_be_gone(desk: TestDesk, qtbot: QtBot) -> None:
    desk.open(connect=False)
    desk.engine_state = EngineState()
    desk.engine.start()
    desk.actions.connect_engine()  # it comes, is connected to, and is killed: all between two looks
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.engine.look()
    assert words(desk, "status-engine") == "Engine not running"
    assert not desk.actions.ready and button(desk, "engine-start").isVisible()


def test_an_engine_started_elsewhere_is_used(desk: TestDesk, qtbot: QtBot) -> None:
    open_ready(desk, qtbot)
    desk.engine_state = EngineState(4712, "http://127.0.0.1:8234")
    desk.engine.look()
    qtbot.waitUntil(lambda: desk.actions.ready and desk.commands.closed)


def test_temporals_page_opens_outside(desk: TestDesk, qtbot: QtBot) -> None:
    open_ready(desk, qtbot)
    opened: list[QUrl] = []

    class Browser(QObject):
        @Slot(QUrl)
        def take(self, url: QUrl) -> None:
            opened.append(url)

    browser = Browser()
    QDesktopServices.setUrlHandler("http", browser, "take")  # type: ignore[arg-type]  # the stub wants bytes, Qt a name
    click(desk, qtbot, "temporal-open")
    QDesktopServices.unsetUrlHandler("http")
    assert [url.toString() for url in opened] == ["http://127.0.0.1:8233"]


def test_closing_stops_nothing(desk: TestDesk, qtbot: QtBot) -> None:
    open_ready(desk, qtbot)
    with qtbot.waitSignal(desk.window.quit_wanted) as quit_wanted:
        desk.window.close()
    assert quit_wanted.args == [False]
    assert desk.commands.given == []


@pytest.mark.parametrize(("name", "stops"), [("quit-leave", False), ("quit-stop", True)])
def test_quitting_asks(desk: TestDesk, qtbot: QtBot, name: str, stops: bool) -> None:
    open_ready(desk, qtbot)
    desk.window.ask_to_quit()
    box = desk.window.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    chosen = box.findChild(QPushButton, name)
    assert isinstance(chosen, QPushButton)
    with qtbot.waitSignal(desk.window.quit_wanted) as quit_wanted:
        QTest.mouseClick(chosen, Qt.MouseButton.LeftButton)
    assert quit_wanted.args == [stops]


def test_the_window_never_blocks(desk: TestDesk, qtbot: QtBot) -> None:
    """A long story arrives at once: each turn of the event loop costs little of this thread's time."""
    for round_ in range(12):
        desk.story.run = f"run-{round_}"
        blueprint.to_the_end(desk.story)
    desk.story.run = "last"
    desk.story.start()
    for number in range(300):
        desk.story.command(blueprint.DEV, 1, f"step {number}", f"\x1b[32mok\x1b[0m {number}\n" * 60, pieces=3)
    gaps: list[float] = []
    last = time.thread_time()

    def turn() -> None:
        nonlocal last
        gaps.append(time.thread_time() - last)
        last = time.thread_time()

    desk.open()
    QApplication.processEvents()
    last = time.thread_time()
    clock = QTimer()
    clock.timeout.connect(turn)
    clock.start(0)
    view = desk.window.dashboard.pane.view
    qtbot.waitUntil(lambda: desk.feed.caught_up and desk.feed.board.run == "last" and view.idle, timeout=60_000)
    clock.stop()
    assert sorted(gaps)[len(gaps) * 95 // 100] < 0.025
    assert max(gaps) < 0.25


@pytest.mark.parametrize("width", [760, 900, 1600])
def test_nothing_is_cut_off_in_a_narrow_window(desk: TestDesk, qtbot: QtBot, width: int) -> None:
    desk.story.start({f"agent-{number}": "" for number in range(len(AgentStatus))})
    for number, state in enumerate(AgentStatus):
        desk.story.state(f"agent-{number}", state, "a reason")
    question = desk.story.ask("agent-1", "Which?", "", ("Yes", "No"))
    desk.open(width, 520)
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.catch_up()
    desk.window.open_interrupt(question)
    qtbot.waitUntil(lambda: button(desk, "interrupt-send").isVisible())
    qtbot.wait(20)
    for name in ("fleet-orders", "fleet-stop", "interrupt-way-cancel", "interrupt-send", "interrupt-console"):
        made = button(desk, name)
        assert made.width() >= made.sizeHint().width(), name
        assert made.mapTo(desk.window, made.rect().topRight()).x() <= width, name
    urgent = [chip.text for chip in desk.window.header.findChildren(Chip) if chip.isVisible()]
    assert "1 failed" in urgent and "1 waiting" in urgent
