"""The menu of an agent, or of the team: every order, with its key, and the reason where one cannot be given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from app.config import Project
from app.domain.board import Board
from app.domain.instructions import in_force
from app.ui.controls.dialogs import InstructDialog, ask_minutes, confirm
from app.ui.controls.orders import AgentOrders
from app.ui.controls.verbs import Verb, able, obstacle, team_obstacle
from app.ui.fleet_actions import FleetActions
from app.ui.widgets.labels import plain_tip

TEAM = ""
"""Whom a menu is for when it is for all agents."""
APPROVE_MINUTES = (5, 10, 30, 60)
_RULE = None
_ORDER = (
    Verb.PAUSE, Verb.PAUSE_AFTER, Verb.PAUSE_TO_DISK, Verb.RESUME, _RULE, Verb.INSTRUCT, Verb.CANCEL_TURN,
    Verb.CANCEL_TASK, _RULE, Verb.APPROVE, Verb.ASK_AGAIN, _RULE, Verb.STOP, Verb.START, Verb.RESET, Verb.REMOVE,
)  # fmt: skip
_NOT_OF_THE_TEAM = (Verb.REMOVE, Verb.STOP)
"""The header's own button stops the team."""
_WORDS = {
    Verb.PAUSE: ("Pause now", "Its machine stands still at once, also in the middle of a turn"),
    Verb.PAUSE_AFTER: ("Pause after the running command", "At once when no command runs"),
    Verb.PAUSE_TO_DISK: ("Pause after the turn, to disk", "Its machine is saved to disk and its memory is freed"),
    Verb.RESUME: ("Resume", "Let it go on where it stood"),
    Verb.INSTRUCT: ("Instruct…", "See what it has been told, and tell it what to do from now on"),
    Verb.CANCEL_TURN: ("Cancel the turn", "End the turn now; it then waits for what comes in"),
    Verb.CANCEL_TASK: ("Cancel the task", "It drops what it is doing, its questions are withdrawn, and it waits"),
    Verb.APPROVE: ("Approve everything for", "Approvals are given without asking; each stays on record"),
    Verb.ASK_AGAIN: ("Ask me again", "Approvals wait for you from now on"),
    Verb.STOP: ("Stop", "End it: machine off; disk, memory and inbox stay"),
    Verb.START: ("Start again", "Same disk, memory, inbox and conversation"),
    Verb.RESET: ("Restart clean…", "A clean machine and a new conversation; memory and inbox stay"),
    Verb.REMOVE: ("Remove its machine…", "Take its machine away, with its disk"),
}
_AGENT_KEYS = {
    Verb.PAUSE: "Ctrl+P", Verb.PAUSE_AFTER: "Ctrl+Alt+P", Verb.RESUME: "Ctrl+R", Verb.INSTRUCT: "Ctrl+I",
    Verb.CANCEL_TURN: "Ctrl+K", Verb.CANCEL_TASK: "Ctrl+Alt+K", Verb.STOP: "Ctrl+Alt+S", Verb.START: "Ctrl+Alt+R",
}  # fmt: skip
_TEAM_KEYS = {Verb.PAUSE: "Ctrl+Shift+P", Verb.RESUME: "Ctrl+Shift+R", Verb.CANCEL_TURN: "Ctrl+Shift+K"}


class ControlMenu(QMenu):
    """Made for the team, or for the agent that ``show_agent`` names. ``host`` is where its keys are heard."""

    def __init__(
        self, project: Project, actions: FleetActions, now: Callable[[], datetime], host: QWidget, *, team: bool
    ) -> None:
        super().__init__(host)
        self._project = project
        self._actions = actions
        self._now = now
        self._host = host
        self._team = team
        self._agent = TEAM
        self._board = Board(project.fleet_id)
        self._orders = AgentOrders(actions)
        self._entries: dict[Verb, QAction] = {}
        self.setObjectName("team-menu" if team else "agent-menu")
        self.setToolTipsVisible(True)
        self._fill()
        actions.link_changed.connect(self.refresh)
        self.aboutToShow.connect(self.refresh)
        self.refresh()

    def entry(self, verb: Verb) -> QAction:
        """The entry of an order."""
        return self._entries[verb]

    def show_agent(self, agent: str) -> None:
        """Whom the orders are for."""
        if agent != self._agent:
            self._agent = agent
            self.refresh()

    def show_board(self, board: Board) -> None:
        """What is so now."""
        self._board = board
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be ordered; the others say why not."""
        for verb, entry in self._entries.items():
            why_not = self._obstacle(verb)
            entry.setEnabled(not why_not)
            entry.setToolTip(plain_tip(why_not or _WORDS[verb][1]))

    def _obstacle(self, verb: Verb) -> str:
        if not self._actions.ready:
            return "The engine is not running"
        if self._team:
            return team_obstacle(verb, self._board, self._now())
        view = self._board.agents.get(self._agent)
        return "No agent is chosen" if view is None else obstacle(verb, view, self._board, self._now())

    def _fill(self) -> None:
        keys = _TEAM_KEYS if self._team else _AGENT_KEYS
        for verb in _ORDER:
            if verb is None:
                self.addSeparator()
            elif verb is Verb.APPROVE:
                self._entries[verb] = self._approve_menu().menuAction()
            elif not (self._team and verb in _NOT_OF_THE_TEAM):
                self._entries[verb] = self._add(verb, keys.get(verb, ""))

    def _add(self, verb: Verb, keys: str) -> QAction:
        words = _WORDS[verb][0]
        entry = self.addAction(words)
        entry.setObjectName(f"{'team' if self._team else 'agent'}-{verb.value}")
        entry.triggered.connect(partial(self._order, verb))
        if keys:
            entry.setShortcut(QKeySequence(keys))
            entry.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            self._host.addAction(entry)
        return entry

    def _approve_menu(self) -> QMenu:
        prefix = "team" if self._team else "agent"
        menu = self.addMenu(_WORDS[Verb.APPROVE][0])
        menu.menuAction().setObjectName(f"{prefix}-{Verb.APPROVE.value}")
        for minutes in APPROVE_MINUTES:
            entry = menu.addAction("1 hour" if minutes == 60 else f"{minutes} minutes")
            entry.setObjectName(f"{prefix}-approve-{minutes}")
            entry.triggered.connect(partial(self._approve, timedelta(minutes=minutes)))
        other = menu.addAction("Another time…")
        other.setObjectName(f"{prefix}-approve-other")
        other.triggered.connect(lambda: ask_minutes(self._host, self._whose(), self._approve))
        return menu

    def _whose(self) -> str:
        return "the team" if self._team else self._agent

    def _agents(self, verb: Verb) -> list[str]:
        return able(verb, self._board, self._now()) if self._team else [self._agent]

    def _approve(self, lasting: timedelta, _checked: bool = False) -> None:
        self._orders.approve(self._agent, lasting)

    def _order(self, verb: Verb, _checked: bool = False) -> None:
        if self._obstacle(verb):  # since the menu was opened
            return
        if verb is Verb.INSTRUCT:
            self._instruct()
        elif verb is Verb.ASK_AGAIN:
            self._orders.ask_again(self._agent)
        elif verb in (Verb.RESET, Verb.REMOVE):
            self._confirm(verb)
        else:
            self._orders.give(verb, self._agents(verb))

    def _confirm(self, verb: Verb) -> None:
        agents, whose = self._agents(verb), self._whose()
        question = f"Restart {whose} clean?" if verb is Verb.RESET else f"Remove the machine of {whose}?"
        lost = (
            "The running turn is cancelled and the conversation given up. What the machine’s disk holds besides the "
            "mirrored workspace is lost. Memory file and inbox stay."
            if verb is Verb.RESET
            else "Its disk goes with it, with everything on it besides the mirrored workspace. This cannot be undone."
        )
        words = "Restart clean" if verb is Verb.RESET else "Remove"
        confirm(self._host, f"confirm-{verb.value}", question, lost, words, lambda: self._orders.give(verb, agents))

    def _instruct(self) -> None:
        agents = self._agents(Verb.INSTRUCT)
        dialog = InstructDialog(self._whose(), self._present(agents), self._host)
        dialog.instructed.connect(lambda text, mode: self._orders.instruct(agents, text, mode))
        dialog.open()

    def _present(self, agents: list[str]) -> str:
        initial = {spec.id: spec.initial_instructions for spec in self._project.fleet.agents}
        told = {
            agent: in_force(initial.get(agent, ""), [item for item in self._board.instructions if item.agent == agent])
            for agent in agents
        }
        if not self._team:
            return told[self._agent]
        return "\n\n".join(f"{agent}\n{words or '(none)'}" for agent, words in told.items())


class Controls(QObject):
    """The menus of a window, kept true together; while everything is approved, also as time goes by."""

    def __init__(self, project: Project, actions: FleetActions, now: Callable[[], datetime], window: QWidget) -> None:
        super().__init__(window)
        self._make = partial(ControlMenu, project, actions, now)
        self.team = self._make(window, team=True)
        self._menus = [self.team]
        ticker = QTimer(self)
        ticker.timeout.connect(self._tick)
        ticker.start(1000)

    def for_agent(self, host: QWidget) -> ControlMenu:
        """A menu whose keys are heard in ``host``."""
        made = self._make(host, team=False)
        self._menus.append(made)
        return made

    def show_board(self, board: Board) -> None:
        """What is so now."""
        for menu in self._menus:
            menu.show_board(board)

    def _tick(self) -> None:
        for menu in self._menus:
            if menu.isVisible():
                menu.refresh()
