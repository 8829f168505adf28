"""The dashboard page: the agents above, what the chosen one is doing below."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from app.domain.board import AgentView, Board
from app.ui.console.book import TranscriptBook
from app.ui.console.pane import ConsolePane
from app.ui.controls.menu import ControlMenu
from app.ui.dashboard.delegate import ROW_HEIGHT, AgentDelegate
from app.ui.dashboard.model import VIEW_ROLE, AgentModel, AgentSorter, Column
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.empty_state import EmptyState

MANY_AGENTS = 6
"""From here on a field to filter the rows is worth its place."""
_WIDTHS = {
    Column.AGENT: 208, Column.STATE: 200, Column.TURN: 68, Column.UNREAD: 84, Column.CALLS: 68, Column.TOKENS: 84,
    Column.COMMANDS: 76, Column.BUDGET: 84,
}  # fmt: skip
_NARROW_WIDTHS = {Column.AGENT: 192, Column.STATE: 168}
_NARROW = 1000
_HIDDEN_BELOW = {Column.CALLS: 1040, Column.COMMANDS: 1040, Column.BUDGET: 940, Column.TOKENS: 800, Column.TURN: 760}


class DashboardPage(QWidget):
    """``chosen`` tells which agent the user picked, ``opened`` which console is wanted whole."""

    chosen = Signal(str)
    opened = Signal(str)

    def __init__(self, theme: Theme, book: TranscriptBook) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self.model = AgentModel(self)
        self.sorter = AgentSorter(self)
        self.sorter.setSourceModel(self.model)
        self.pane = ConsolePane(theme, book, "dashboard")
        self.empty = EmptyState(theme, "dashboard", "No agents yet", "")
        self._settled = False
        self._filter = QLineEdit()
        self._table = QTableView()
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._filled())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self.setFocusProxy(self._table)

    def show_board(self, board: Board, *, caught_up: bool = True) -> None:
        """Bring rows and the pane up to date; selection and scroll stay once all that was recorded is ``caught_up``."""
        self.model.show_board(board)
        self._filter.setVisible(len(board.agents) >= MANY_AGENTS)
        self._stack.setCurrentIndex(1 if board.agents else 0)
        if board.agents and not (self._settled and self._table.selectionModel().hasSelection()):
            # The agent that needs the user most, until the user picks one.
            first = self.sorter.index(0, 0).data(VIEW_ROLE)
            keep = self._settled and self.pane.agent in board.agents
            self.show_agent(self.pane.agent if keep else first.id if first else "")
            self._settled = caught_up
        self.pane.show_board(board)

    def show_agent(self, agent: str) -> None:
        """Select an agent's row."""
        row = self.model.row_of(agent)
        index = self.sorter.mapFromSource(self.model.index(row, 0)) if row >= 0 else QModelIndex()
        if not index.isValid():
            return
        self.pane.show_agent(agent)
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self._table.selectionModel().setCurrentIndex(index, flags)

    def use_menu(self, menu: ControlMenu) -> None:
        """The orders for the chosen agent: beside its name below, and on its row."""
        self.pane.use_menu(menu)
        self.pane.shown.connect(menu.show_agent)
        self._table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._table.customContextMenuRequested.connect(lambda place: self._show_menu(menu, place))
        for keys in ("Menu", "Shift+F10"):  # Qt itself would take what is in the middle of the table
            chosen = QShortcut(QKeySequence(keys), self._table, context=Qt.ShortcutContext.WidgetShortcut)
            chosen.activated.connect(lambda: self._show_menu(menu, self._chosen_row().center()))

    def _chosen_row(self) -> QRect:
        return self._table.visualRect(self._table.currentIndex())

    def _show_menu(self, menu: ControlMenu, place: QPoint) -> None:
        index = self._table.indexAt(place)
        if index.isValid():
            self._table.setCurrentIndex(index)
            menu.popup(self._table.viewport().mapToGlobal(place))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out figures where there is no place for them."""
        super().resizeEvent(event)
        width = event.size().width()
        for column, limit in _HIDDEN_BELOW.items():
            self._table.setColumnHidden(column, width < limit)
        for column, normal in _WIDTHS.items():
            self._table.setColumnWidth(column, _NARROW_WIDTHS.get(column, normal) if width < _NARROW else normal)

    def _filled(self) -> QWidget:
        self._set_up_table()
        self._filter.setObjectName("dashboard-filter")
        self._filter.setPlaceholderText("Filter agents by name, type or state")
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self.sorter.filter_by)
        self._filter.hide()
        above = QWidget()
        column = QVBoxLayout(above)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._filter)
        column.addWidget(self._table)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setHandleWidth(1)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(above)
        splitter.addWidget(self.pane)
        splitter.setStretchFactor(0, 0)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([36 + 3 * ROW_HEIGHT + SPACE // 2, 400])
        return splitter

    def _set_up_table(self) -> None:
        table = self._table
        table.setObjectName("dashboard-agents")
        table.setAccessibleName("Agents")
        table.setModel(self.sorter)
        table.setItemDelegate(AgentDelegate(self._theme, table))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setMouseTracking(True)
        table.setTabKeyNavigation(False)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self._set_up_header(table.horizontalHeader())
        table.setSortingEnabled(True)
        table.sortByColumn(Column.STATE, Qt.SortOrder.AscendingOrder)
        table.setMinimumHeight(36 + ROW_HEIGHT)
        table.selectionModel().currentRowChanged.connect(self._row_changed)
        table.activated.connect(self._activated)
        table.clicked.connect(self._picked)

    def _set_up_header(self, header: QHeaderView) -> None:
        header.setHighlightSections(False)
        header.setSectionsMovable(False)
        header.setMinimumSectionSize(48)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(Column.ACTIVITY, QHeaderView.ResizeMode.Stretch)

    def _row_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        view = current.data(VIEW_ROLE)
        if isinstance(view, AgentView):
            self.pane.show_agent(view.id)
            self.chosen.emit(view.id)

    def _picked(self) -> None:
        self._settled = True

    def _activated(self, index: QModelIndex) -> None:
        view = index.data(VIEW_ROLE)
        if isinstance(view, AgentView):
            self.opened.emit(view.id)
