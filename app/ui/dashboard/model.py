"""The agents as a table: a snapshot of the board's views, told of narrow changes only."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from app.domain.board import AgentView, Board
from app.domain.events import AgentStatus
from app.domain.text import printable
from app.ui.widgets.labels import plain_tip
from app.ui.wording import count, plural, state_word

Index = QModelIndex | QPersistentModelIndex
SORT_ROLE = Qt.ItemDataRole.UserRole + 1
VIEW_ROLE = Qt.ItemDataRole.UserRole + 2
_ROOT = QModelIndex()

_RANK = {
    AgentStatus.WAITING: 1,
    AgentStatus.RUNNING: 2,
    AgentStatus.STARTING: 3,
    AgentStatus.IDLE: 4,
    AgentStatus.PAUSED: 5,
    AgentStatus.COMPLETED: 6,
    AgentStatus.STOPPED: 7,
    AgentStatus.FAILED: 0,
}


class Column(IntEnum):
    """The table's columns."""

    AGENT = 0
    STATE = 1
    ACTIVITY = 2
    TURN = 3
    UNREAD = 4
    CALLS = 5
    TOKENS = 6
    COMMANDS = 7
    BUDGET = 8


HEADINGS = {
    Column.AGENT: "Agent",
    Column.STATE: "State",
    Column.ACTIVITY: "Last action",
    Column.TURN: "Turn",
    Column.UNREAD: "Unread",
    Column.CALLS: "Calls",
    Column.TOKENS: "Tokens",
    Column.COMMANDS: "Cmds",
    Column.BUDGET: "Budget",
}
_TIPS = {
    Column.STATE: "What the agent is doing, and why",
    Column.ACTIVITY: "The agent's last words or command, and the first line of its last note",
    Column.TURN: "Turns of this run",
    Column.UNREAD: "Messages delivered and not read yet",
    Column.CALLS: "Requests to the model",
    Column.TOKENS: "Tokens to and from the model",
    Column.COMMANDS: "Commands run in the virtual machine",
    Column.BUDGET: "How much is used of the limit it is nearest to",
}


class AgentModel(QAbstractTableModel):
    """Rows in the order of agents.yaml; sorting is the proxy's."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[AgentView] = []

    def show_board(self, board: Board) -> None:
        """Take over what the board says now."""
        fresh = [copy.copy(view) for view in board.agents.values()]
        if [view.id for view in fresh[: len(self._rows)]] != [view.id for view in self._rows]:
            self.beginResetModel()
            self._rows = fresh
            self.endResetModel()
            return
        for row, view in enumerate(fresh[: len(self._rows)]):
            if view != self._rows[row]:
                self._rows[row] = view
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(Column) - 1))
        if len(fresh) > len(self._rows):
            self.beginInsertRows(QModelIndex(), len(self._rows), len(fresh) - 1)
            self._rows = fresh
            self.endInsertRows()

    def row_of(self, agent: str) -> int:
        """The row of an agent, -1 when there is none."""
        return next((row for row, view in enumerate(self._rows) if view.id == agent), -1)

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Agents."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Columns."""
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, and what they mean."""
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[Column(section)]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS.get(Column(section))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section >= Column.TURN else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The view, its words, or what it is sorted by."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        view, column = self._rows[index.row()], Column(index.column())
        if role == VIEW_ROLE:
            return view
        if role == SORT_ROLE:
            return sort_key(view, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(tip(view))
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return printable(cell_text(view, column))
        return None


def cell_text(view: AgentView, column: Column) -> str:
    """What a cell says, in words."""
    match column:
        case Column.AGENT:
            return view.id
        case Column.STATE:
            return state_word(view.state) + (f": {view.reason}" if view.reason else "")
        case Column.ACTIVITY:
            return view.last_action or view.memory_snippet
        case Column.TURN | Column.UNREAD:
            return str(figure(view, column))
        case Column.BUDGET:
            return f"{used_percent(view)} %" if view.budget is not None else "0"
        case _:
            return count(figure(view, column))


def sort_key(view: AgentView, column: Column) -> int | str:
    """What a cell is sorted by; the state by how much it needs the user."""
    match column:
        case Column.AGENT:
            return view.id
        case Column.STATE:
            return need(view)
        case Column.ACTIVITY:
            return view.last_action.casefold()
        case Column.BUDGET:
            return used_percent(view)
        case _:
            return figure(view, column)


def figure(view: AgentView, column: Column) -> int:
    """The number a column of figures shows."""
    figures = {
        Column.TURN: view.turn,
        Column.UNREAD: view.unread,
        Column.CALLS: view.model_calls,
        Column.TOKENS: view.input_tokens + view.output_tokens,
        Column.COMMANDS: view.commands,
    }
    return figures.get(column, 0)


def used_percent(view: AgentView) -> int:
    """Per cent used of the limit the agent is nearest to; 0 when it has none."""
    return max((int(item.share * 100) for item in view.used(datetime.now(UTC))), default=0)


def need(view: AgentView) -> int:
    """How little an agent needs the user: those who do come first."""
    return -1 if view.needs_user else _RANK[view.state]


def tip(view: AgentView) -> str:
    """All about a row, for those who do not see it or want more."""
    tokens = f"{view.input_tokens:,} tokens in, {view.output_tokens:,} out"
    figures = f"{plural(view.model_calls, 'model call')}, {tokens}, {plural(view.commands, 'command')}"
    used = view.used_words(datetime.now(UTC))
    parts = (view.id, view.description, cell_text(view, Column.STATE), figures, f"Used: {used}" if used else "")
    return printable("\n".join(part for part in parts if part))


class AgentSorter(QSortFilterProxyModel):
    """Sorted by a column, then by who needs the user, then by name; filtered by words in name, type and state."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words: list[str] = []
        self.setSortRole(SORT_ROLE)
        self.setDynamicSortFilter(True)

    def filter_by(self, text: str) -> None:
        """Show rows that hold every word of ``text``."""
        self.beginFilterChange()
        self._words = text.casefold().split()
        self.endFilterChange()

    def lessThan(self, left: Index, right: Index) -> bool:
        """Compare by the column, then by who needs the user, then by name."""
        mine, other = self._view(left), self._view(right)
        column = Column(left.column())
        first, second = sort_key(mine, column), sort_key(other, column)
        if isinstance(first, str) or isinstance(second, str):
            return (str(first), need(mine), mine.id) < (str(second), need(other), other.id)
        return (first, need(mine), mine.id) < (second, need(other), other.id)

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        """Whether the row holds every word looked for."""
        if not self._words:
            return True
        view = self._view(self.sourceModel().index(source_row, 0, source_parent))
        text = f"{view.id} {view.type} {view.state.value} {view.reason}".casefold()
        return all(word in text for word in self._words)

    def _view(self, index: Index) -> AgentView:
        view = self.sourceModel().data(index, VIEW_ROLE)
        assert isinstance(view, AgentView)
        return view
