"""The console page: a tab for each agent, and its console below."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from app.domain.board import Board
from app.domain.events import AgentStatus
from app.ui.console.book import TranscriptBook
from app.ui.console.pane import ConsolePane
from app.ui.controls.menu import ControlMenu
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.chips import paint_dot
from app.ui.widgets.empty_state import EmptyState
from app.ui.wording import state_word


class ConsolePage(QWidget):
    """``chosen`` tells which agent the user picked."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, book: TranscriptBook) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._states: dict[str, AgentStatus] = {}
        self._tabs = QTabBar()
        self._tabs.setObjectName("console-agents")
        self._tabs.setAccessibleName("Agent")
        self._tabs.setExpanding(False)
        self._tabs.setUsesScrollButtons(True)
        self._tabs.setIconSize(QSize(10, 10))
        self.pane = ConsolePane(theme, book, "console")
        empty = EmptyState(theme, "console", "No agents yet", "Start the fleet: each agent gets its console here.")
        self._stack = QStackedWidget()
        self._stack.addWidget(empty)
        self._stack.addWidget(self._filled())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self.setFocusProxy(self._tabs)
        self._tabs.currentChanged.connect(self._picked)
        theme.changed.connect(self._paint_tabs)

    def show_board(self, board: Board) -> None:
        """Bring tabs and states up to date."""
        if list(board.agents) != self._names():
            self._rebuild(list(board.agents))
        states = {name: view.state for name, view in board.agents.items()}
        if states != self._states:
            self._states = states
            self._paint_tabs()
        self._stack.setCurrentIndex(1 if board.agents else 0)
        self.pane.show_board(board)

    def show_agent(self, agent: str) -> None:
        """Turn to an agent's tab."""
        if agent in self._names():
            self._tabs.setCurrentIndex(self._names().index(agent))
            self.pane.show_agent(agent)

    def use_menu(self, menu: ControlMenu) -> None:
        """The orders for the agent that is shown."""
        self.pane.use_menu(menu)
        self.pane.shown.connect(menu.show_agent)

    def _filled(self) -> QWidget:
        filled = QWidget()
        bar = QWidget()
        bar.setObjectName("toolbar")
        row = QHBoxLayout(bar)
        row.setContentsMargins(SPACE, 0, SPACE, 0)
        row.addWidget(self._tabs, 1)
        layout = QVBoxLayout(filled)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(bar)
        layout.addWidget(self.pane, 1)
        return filled

    def _names(self) -> list[str]:
        return [str(self._tabs.tabData(index)) for index in range(self._tabs.count())]

    def _rebuild(self, names: list[str]) -> None:
        current = self.pane.agent
        self._tabs.blockSignals(True)
        while self._tabs.count():
            self._tabs.removeTab(0)
        for name in names:
            index = self._tabs.addTab(name)
            self._tabs.setTabData(index, name)
        self._tabs.blockSignals(False)
        self._states = {}
        if names:
            self.show_agent(current if current in names else names[0])

    def _picked(self, index: int) -> None:
        agent = str(self._tabs.tabData(index))
        if index >= 0 and agent:
            self.pane.show_agent(agent)
            self.chosen.emit(agent)

    def _paint_tabs(self) -> None:
        for index, name in enumerate(self._names()):
            state = self._states.get(name)
            if state is not None:
                self._tabs.setTabIcon(index, _dot(QColor(self._theme.tokens.agent(state).ink)))
                self._tabs.setTabToolTip(index, f"{name}: {state_word(state)}")


def _dot(color: QColor) -> QIcon:
    pixmap = QPixmap(20, 20)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    paint_dot(painter, QRectF(0, 0, 20, 20).center(), color, 16)
    painter.end()
    return QIcon(pixmap)
