"""The console page: one agent's transcript, live."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QPushButton, QTabBar
from pytestqt.qtbot import QtBot

from app.ui.console import book
from app.ui.console.view import TranscriptView
from app.ui.frame.navigation import Page
from app.ui.theme import ThemeChoice
from tests.ui import blueprint
from tests.ui.desk import TestDesk

pytestmark = pytest.mark.gui


@pytest.fixture
def console(desk: TestDesk, qtbot: QtBot) -> TestDesk:
    """A window on the console page."""
    blueprint.with_question(desk.story)
    desk.open()
    desk.catch_up()
    desk.window.turn_to(Page.CONSOLE)
    return desk


def view(desk: TestDesk) -> TranscriptView:
    return desk.window.console.pane.view


def settle(desk: TestDesk, qtbot: QtBot) -> str:
    desk.catch_up()
    qtbot.waitUntil(lambda: view(desk).idle)
    return view(desk).toPlainText()


def test_tabs_choose_the_agent(console: TestDesk, qtbot: QtBot) -> None:
    tabs = console.window.findChild(QTabBar, "console-agents")
    assert isinstance(tabs, QTabBar)
    assert [tabs.tabText(index) for index in range(tabs.count())] == [blueprint.DEV, blueprint.TEST, blueprint.OWNER]
    tabs.setCurrentIndex(1)
    text = settle(console, qtbot)
    assert "$ pytest -q --color=yes" in text and "2 failed, 3 passed in 0.31s" in text
    assert console.window.dashboard.pane.agent == blueprint.TEST


def test_output_is_live(console: TestDesk, qtbot: QtBot) -> None:
    console.window.open_console(blueprint.DEV)
    assert "warming up" in settle(console, qtbot)
    call = console.story.begin_command(blueprint.DEV, 3, "make all")
    console.story.output(blueprint.DEV, 3, call, "compiling")
    assert settle(console, qtbot).endswith("$ make all\ncompiling")
    console.story.output(blueprint.DEV, 3, call, " and linking\n")
    assert settle(console, qtbot).endswith("compiling and linking")


def test_the_transcript_is_the_same_in_another_palette(console: TestDesk, qtbot: QtBot) -> None:
    console.window.open_console(blueprint.TEST)
    before = settle(console, qtbot)
    console.theme.choose(ThemeChoice.DARK)
    assert settle(console, qtbot) == before


def test_a_new_run_clears_the_transcript(console: TestDesk, qtbot: QtBot) -> None:
    console.window.open_console(blueprint.DEV)
    settle(console, qtbot)
    console.story.run = "run-2"
    console.story.start()
    console.story.say(blueprint.DEV, 1, "A new beginning")
    assert settle(console, qtbot).strip() == "A new beginning"


def test_a_button_leads_back_to_the_newest_line(console: TestDesk, qtbot: QtBot) -> None:
    console.window.open_console(blueprint.TEST)
    console.story.command(blueprint.TEST, 3, "seq 400", "\n".join(str(number) for number in range(400)))
    settle(console, qtbot)
    newest = console.window.findChild(QPushButton, "console-follow")
    assert isinstance(newest, QPushButton) and not newest.isVisible()
    view(console).verticalScrollBar().setValue(0)
    assert newest.isVisible()
    newest.click()
    assert view(console).following and not newest.isVisible()


def test_old_facts_are_let_go(console: TestDesk, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "MAX_FACTS", 20)
    for number in range(30):
        console.story.say(blueprint.OWNER, 2, f"line {number}")
    console.catch_up()
    assert len(console.window.book.facts(blueprint.OWNER)) == 20
    assert console.window.book.dropped(blueprint.OWNER) > 0
    console.window.open_console(blueprint.OWNER)
    console.window.console.pane.reload()
    assert "left out here, kept in the journal" in settle(console, qtbot).strip().splitlines()[0]
