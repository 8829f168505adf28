"""Every page, empty and full, in both palettes and two sizes: painted without an error, and kept when asked for."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from PySide6.QtWidgets import QComboBox, QWidget
from pytestqt.qtbot import QtBot

from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.domain.interrupt import InterruptKind
from app.ui.controls.dialogs import InstructDialog
from app.ui.controls.menu import ControlMenu
from app.ui.controls.verbs import Verb
from app.ui.frame.navigation import Page
from app.ui.interrupts.ways import Way
from app.ui.theme import ThemeChoice
from tests.ui import blueprint
from tests.ui.desk import TestDesk

pytestmark = pytest.mark.gui
READ = (MessageState.DELIVERED, MessageState.READ)
SIZES = ((900, 600), (1600, 1000))


def keep(desk: TestDesk, qtbot: QtBot, name: str) -> None:
    """Paint the window; write the picture where SKERRY_SCREENSHOTS says."""
    qtbot.waitUntil(lambda: desk.window.console.pane.view.idle or not desk.window.console.pane.view.isVisible())
    qtbot.waitUntil(lambda: desk.window.dashboard.pane.view.idle or not desk.window.dashboard.pane.view.isVisible())
    qtbot.wait(30)
    picture = desk.window.grab()
    assert picture.width() == desk.window.width()
    folder = os.environ.get("SKERRY_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        assert picture.save(str(Path(folder) / f"{name}.png"))


@pytest.mark.parametrize("choice", [ThemeChoice.LIGHT, ThemeChoice.DARK])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("full", [False, True], ids=["empty", "full"])
def test_every_page(desk: TestDesk, qtbot: QtBot, choice: ThemeChoice, size: tuple[int, int], full: bool) -> None:
    if full:
        blueprint.with_question(desk.story)
    desk.theme.choose(choice)
    desk.open(*size)
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.catch_up()
    for page in Page:
        desk.window.turn_to(page)
        if page is Page.CONSOLE and full:
            desk.window.open_console(blueprint.TEST)
        state = "full" if full else "empty"
        keep(desk, qtbot, f"{page.value}-{state}-{choice.value}-{size[0]}x{size[1]}")


def test_special_states(desk: TestDesk, qtbot: QtBot) -> None:
    """Composing, an answered question, a failed agent, a finished run."""
    desk.open(1280, 820)
    qtbot.waitUntil(lambda: desk.actions.ready)
    blueprint.to_the_end(desk.story)
    desk.catch_up()
    keep(desk, qtbot, "state-finished")
    desk.window.turn_to(Page.INTERRUPTS)
    keep(desk, qtbot, "state-answered")
    desk.window.turn_to(Page.MESSAGES)
    desk.window.messages.write()
    wait = desk.window.messages.findChild(QComboBox, "composer-wait")
    assert isinstance(wait, QComboBox)
    wait.setCurrentText("Wait for the reply")
    keep(desk, qtbot, "state-composing")
    desk.story.run = "run-2"
    desk.story.start()
    desk.story.state(blueprint.DEV, AgentStatus.FAILED, "its virtual machine was lost three times: no disk space")
    desk.story.ask(
        blueprint.TEST,
        "May I run 'sudo apt-get install hypothesis'?",
        "",
        ("Once", "Always", "No"),
        "No",
        InterruptKind.APPROVAL,
    )
    desk.story.ask(
        blueprint.OWNER,
        "The suite hangs and I do not know why",
        "Last output:\nWaiting for lock",
        kind=InterruptKind.DEBUG_REQUEST,
    )
    desk.story.ask(blueprint.OWNER, "Half of the requirements are written", kind=InterruptKind.PROGRESS_REPORT)
    desk.engine_state = type(desk.engine_state)()
    desk.engine.look()
    desk.catch_up()
    desk.window.turn_to(Page.INTERRUPTS)
    keep(desk, qtbot, "state-engine-gone")
    desk.window.turn_to(Page.DASHBOARD)
    keep(desk, qtbot, "state-failed")


@pytest.mark.parametrize("choice", [ThemeChoice.LIGHT, ThemeChoice.DARK])
@pytest.mark.parametrize("size", SIZES)
def test_conversations(desk: TestDesk, qtbot: QtBot, choice: ThemeChoice, size: tuple[int, int]) -> None:
    """A thread with every state, a held message, and a reply being written."""
    blueprint.with_question(desk.story)
    story, name = desk.story, f"{choice.value}-{size[0]}x{size[1]}"
    gone = story.send(blueprint.TEST, blueprint.OWNER, "Coverage", "Do you want a figure?", sync=True)
    story.move(gone, MessageState.EXPIRED, "was not read in time")
    lost = story.send(blueprint.TEST, blueprint.DEV, "One more case", "Please test emoji as well.")
    story.move(lost, MessageState.REFUSED, "dev-agent's inbox is full")
    asked = story.send(blueprint.DEV, "user", "Dash or space?", "Which separator shall it be?", *READ, sync=True)
    story.reply(asked, "user", "A dash.\n\nURLs with spaces are hard to read and to copy.", *READ)
    story.hold(blueprint.TEST, blueprint.OWNER, "All green", "May I tell you the figures?", "not allowed to write")
    desk.theme.choose(choice)
    desk.open(*size)
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.catch_up()
    desk.window.turn_to(Page.MESSAGES)
    keep(desk, qtbot, f"messages-held-{name}")
    desk.window.messages._pick(asked)
    keep(desk, qtbot, f"messages-thread-{name}")
    desk.window.messages._reply()
    keep(desk, qtbot, f"messages-reply-{name}")


@pytest.mark.parametrize("choice", [ThemeChoice.LIGHT, ThemeChoice.DARK])
@pytest.mark.parametrize("size", SIZES)
def test_control(desk: TestDesk, qtbot: QtBot, choice: ThemeChoice, size: tuple[int, int]) -> None:
    """The ways to meet a question, the menus, new instructions, and everything approved for a while."""
    blueprint.with_question(desk.story)
    question = desk.story.ask(
        blueprint.DEV,
        'dev-agent wants to run "git push origin main"',
        "The rules ask before a push.",
        ("Allow once", "Always", "Deny"),
        "Deny",
        InterruptKind.APPROVAL,
    )
    desk.theme.choose(choice)
    desk.open(*size)
    qtbot.waitUntil(lambda: desk.actions.ready)
    desk.catch_up()
    name = f"{choice.value}-{size[0]}x{size[1]}"
    held = [
        desk.story.hold(blueprint.TEST, blueprint.OWNER, "Figures", "12 of 12 pass", "not allowed")[1] for _ in "12"
    ]
    desk.catch_up()
    desk.window.open_interrupt(held[0])
    desk.window.interrupts.detail.toggle_alike()
    keep(desk, qtbot, f"control-alike-{name}")
    desk.window.open_interrupt(question)
    keep(desk, qtbot, f"control-approval-{name}")
    for way in (Way.INSTRUCT, Way.CANCEL):
        desk.window.interrupts.detail.form.take(way)
        keep(desk, qtbot, f"control-{way.value}-{name}")
    desk.story.tell(ev.ApprovalsOpened, until=desk.now() + timedelta(minutes=10))
    desk.catch_up()
    desk.window.turn_to(Page.DASHBOARD)
    keep(desk, qtbot, f"control-approving-{name}")
    menu = desk.window.dashboard.findChild(ControlMenu, "agent-menu")
    assert isinstance(menu, ControlMenu)
    menu.popup(desk.window.mapToGlobal(desk.window.rect().center()))
    keep_picture(menu, f"control-menu-{name}")
    menu.close()
    menu.entry(Verb.INSTRUCT).trigger()
    dialog = desk.window.findChild(InstructDialog)
    assert dialog is not None
    keep_picture(dialog, f"control-instruct-dialog-{name}")


def keep_picture(part: QWidget, name: str) -> None:
    """Paint a menu or dialog; write the picture where SKERRY_SCREENSHOTS says."""
    picture = part.grab()
    assert picture.width() > 0
    folder = os.environ.get("SKERRY_SCREENSHOTS")
    if folder:
        assert picture.save(str(Path(folder) / f"{name}.png"))
