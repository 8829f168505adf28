"""The window's orders and answers at a real team: real workflows and journal, scripted agents, clicks in menus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QMessageBox, QPlainTextEdit, QPushButton
from temporalio.client import Client

from app.config import Paths
from app.control import Control
from app.domain import events as ev
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.domain.ports import Progress
from app.ui.application import Desk
from app.ui.commands import Commands
from app.ui.controls.dialogs import InstructDialog
from app.ui.controls.menu import ControlMenu
from app.ui.controls.verbs import Verb
from tests.team import Script, Team, Turn

pytestmark = [pytest.mark.gui, pytest.mark.slow]
PATIENCE_SECONDS = 60.0


class AtDesk:
    """A window on a team at work; the test and the window take turns."""

    def __init__(self, team: Team, desk: Desk) -> None:
        self.team = team
        self.desk = desk
        self.window = desk.window

    async def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < end, [(view.id, view.state, view.reason) for view in self.agents]
            QApplication.processEvents()
            await asyncio.sleep(0.01)

    @property
    def agents(self) -> list[ev.AgentMoved]:
        return self.team.facts(ev.AgentMoved)[-4:]

    def state(self, agent: str) -> AgentStatus:
        return self.desk.feed.board.agents[agent].state

    async def order(self, verb: Verb, agent: str = "") -> None:
        """By an agent's menu, or the team's, once it can be given."""
        self.window.dashboard.show_agent(agent)
        menu = self.window.dashboard.findChild(ControlMenu, "agent-menu") if agent else self.window.controls.team
        assert isinstance(menu, ControlMenu)
        await self.until(menu.entry(verb).isEnabled)
        menu.entry(verb).trigger()

    async def click(self, name: str) -> None:
        found = self.window.findChild(QAbstractButton, name)
        assert found is not None, name
        await self.until(lambda: found.isVisible() and found.isEnabled())
        found.click()


@asynccontextmanager
async def at_desk(application: QApplication, paths: Paths, client: Client, script: Script) -> AsyncIterator[AtDesk]:
    async def connect(progress: Progress) -> Commands:
        return await Control.connect(paths, start_engine=False, progress=progress)

    async with Team(paths, client, script, replay=False) as team:
        with team.announced():
            await team.start()
            desk = Desk(application, team.project, paths, connect, None)
            desk.open()
            try:
                seen = AtDesk(team, desk)
                await seen.until(lambda: desk.actions.ready and bool(desk.feed.board.agents))
                yield seen
            finally:
                desk.close()
                desk.window.close()


async def rest(turn: Turn) -> None:
    """Nobody has anything to do."""


async def ask(turn: Turn) -> None:
    """Alice asks for a colour."""
    if turn.agent == "alice" and turn.number == 1:
        await turn.call("ask_user", question="Which colour?", options=["red", "blue"], default="blue")


async def test_an_agents_life_by_its_menu(qapp: QApplication, paths: Paths, shared_temporal: Client) -> None:
    async with at_desk(qapp, paths, shared_temporal, rest) as seen:
        for agent in ("alice", "bob"):
            await seen.until(lambda agent=agent: seen.state(agent) is AgentStatus.IDLE)  # type: ignore[misc]
        await seen.order(Verb.PAUSE)
        await seen.until(lambda: seen.state("alice") is seen.state("bob") is AgentStatus.PAUSED)
        await seen.order(Verb.RESUME, "alice")
        await seen.until(lambda: seen.state("alice") is AgentStatus.IDLE)
        assert seen.state("bob") is AgentStatus.PAUSED
        await seen.order(Verb.RESUME)
        await seen.until(lambda: seen.state("bob") is AgentStatus.IDLE)
        made = seen.team.host.made
        await seen.order(Verb.RESET, "alice")
        box = next(one for one in seen.window.findChildren(QMessageBox) if one.isVisible())
        yes = box.findChild(QPushButton, "confirm-reset-yes")
        assert yes is not None
        yes.click()
        await seen.until(lambda: seen.team.host.made == made + 1)
        await seen.order(Verb.STOP, "alice")
        await seen.until(lambda: seen.state("alice") is AgentStatus.STOPPED)
        await seen.order(Verb.START, "alice")
        await seen.until(lambda: seen.state("alice") is AgentStatus.IDLE)


async def test_instructions_are_given_with_the_present_ones_in_sight(
    qapp: QApplication, paths: Paths, shared_temporal: Client
) -> None:
    async with at_desk(qapp, paths, shared_temporal, rest) as seen:
        await seen.order(Verb.INSTRUCT, "alice")
        dialog = seen.window.findChild(InstructDialog)
        assert dialog is not None
        present, text = (dialog.findChild(QPlainTextEdit, f"instruct-{name}") for name in ("present", "text"))
        assert present is not None and text is not None and present.toPlainText() == "Begin."
        text.setPlainText("Use tabs.")
        await seen.click("instruct-replace")
        await seen.click("instruct-give")
        await seen.until(lambda: any("Use tabs." in turn.prompt for turn in seen.team.turns))
        (told,) = seen.team.facts(ev.InstructionsChanged)
        assert (told.agent, told.mode, told.text, told.by) == ("alice", "replace", "Use tabs.", "user")


@pytest.mark.parametrize(
    ("clicks", "answer", "state"),
    [
        (("interrupt-option-0",), Answer(option="red"), AgentStatus.IDLE),
        (("interrupt-way-cancel", "interrupt-send"), Answer(action="cancel", scope="task"), AgentStatus.IDLE),
        (
            ("interrupt-way-cancel", "interrupt-cancel-agent", "interrupt-send"),
            Answer(action="cancel", scope="agent"),
            AgentStatus.STOPPED,
        ),
    ],
)
async def test_a_question_is_met_by_clicks(
    qapp: QApplication,
    paths: Paths,
    shared_temporal: Client,
    clicks: tuple[str, ...],
    answer: Answer,
    state: AgentStatus,
) -> None:
    async with at_desk(qapp, paths, shared_temporal, ask) as seen:
        await seen.click("attention-go")
        for name in clicks:
            await seen.click(name)
        await seen.until(lambda: bool(seen.team.facts(ev.InterruptSettled)))
        (settled,) = seen.team.facts(ev.InterruptSettled)
        assert settled.answer == answer
        await seen.until(lambda: seen.state("alice") is state)
        caption = seen.window.findChild(QLabel, "interrupt-outcome")
        assert caption is not None and caption.isVisible()
