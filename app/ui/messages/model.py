"""The messages as a table, newest first; narrow changes only, so that a hundred thousand rows stay cheap."""

from __future__ import annotations

from enum import IntEnum
from itertools import islice
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from app.domain import events as ev
from app.domain.board import Board, MessageView
from app.domain.envelope import MessageState
from app.domain.text import first_line, printable
from app.ui.feed import Advance
from app.ui.widgets.labels import plain_tip
from app.ui.wording import person, time_of_day

Index = QModelIndex | QPersistentModelIndex
VIEW_ROLE = Qt.ItemDataRole.UserRole + 1
_ROOT = QModelIndex()


class Column(IntEnum):
    """The table's columns."""

    TIME = 0
    ROUTE = 1
    SUBJECT = 2
    MODE = 3
    STATE = 4


HEADINGS = {
    Column.TIME: "Time",
    Column.ROUTE: "From → to",
    Column.SUBJECT: "Subject",
    Column.MODE: "Mode",
    Column.STATE: "State",
}


class MessageModel(QAbstractTableModel):
    """Row 0 is the newest message."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._views: list[MessageView] = []
        self._places: dict[str, int] = {}

    def take_in(self, advance: Advance) -> None:
        """Add what is new, and tell of rows that changed."""
        if advance.restarted:
            self._reset(advance.board)
            return
        self._insert(list(islice(advance.board.messages.values(), len(self._views), None)))
        moved = {event.message_id for event in advance.events if isinstance(event, ev.MessageMoved)}
        for message in moved & self._places.keys():
            row = self.row_of(message)
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(Column) - 1))

    def row_of(self, message: str) -> int:
        """The row of a message, -1 when there is none."""
        place = self._places.get(message)
        return -1 if place is None else len(self._views) - 1 - place

    def view(self, row: int) -> MessageView:
        """The message of a row."""
        return self._views[len(self._views) - 1 - row]

    def _insert(self, views: list[MessageView]) -> None:
        if not views:
            return
        self.beginInsertRows(QModelIndex(), 0, len(views) - 1)
        self._keep(views)
        self.endInsertRows()

    def _reset(self, board: Board) -> None:
        self.beginResetModel()
        self._views.clear()
        self._places.clear()
        self._keep(list(board.messages.values()))
        self.endResetModel()

    def _keep(self, views: list[MessageView]) -> None:
        for view in views:
            self._places[view.envelope.id] = len(self._views)
            self._views.append(view)

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Messages."""
        return 0 if parent.isValid() else len(self._views)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Columns."""
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings."""
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[Column(section)]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The message, or a cell's words."""
        if not index.isValid() or index.row() >= len(self._views):
            return None
        view = self.view(index.row())
        if role == VIEW_ROLE:
            return view
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return printable(cell_text(view, Column(index.column())))
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(_tip(view, Column(index.column())))
        return None


def _tip(view: MessageView, column: Column) -> str:
    """What a cell had no room for."""
    if column is Column.STATE:
        return printable(view.reason)
    if column is Column.SUBJECT and view.reason:
        return printable(f"{cell_text(view, column)}\n{view.reason}")
    return printable(cell_text(view, column)) if column in (Column.ROUTE, Column.SUBJECT) else ""


def cell_text(view: MessageView, column: Column) -> str:
    """What a cell says."""
    envelope = view.envelope
    match column:
        case Column.TIME:
            return time_of_day(envelope.sent_at)
        case Column.ROUTE:
            return f"{person(envelope.sender)} → {person(envelope.recipient)}"
        case Column.SUBJECT:
            return envelope.subject or first_line(envelope.body)
        case Column.MODE:
            return envelope.mode
        case Column.STATE:
            return view.state.value


class MessageFilter(QSortFilterProxyModel):
    """Rows that an agent sent or received, of a mode and of some states, that hold every word looked for."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._agent = ""
        self._words: list[str] = []
        self._mode = ""
        self._states: frozenset[MessageState] = frozenset()

    def filter_by(self, agent: str, text: str, mode: str = "", states: frozenset[MessageState] = frozenset()) -> None:
        """An empty agent, mode or set of states stands for all."""
        self.beginFilterChange()
        self._agent, self._words = agent, text.casefold().split()
        self._mode, self._states = mode, states
        self.endFilterChange()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        """Whether the row fits."""
        model = self.sourceModel()
        assert isinstance(model, MessageModel)
        view = model.view(source_row)
        envelope = view.envelope
        if self._agent and self._agent not in (envelope.sender, envelope.recipient):
            return False
        if (self._mode and envelope.mode != self._mode) or (self._states and view.state not in self._states):
            return False
        if not self._words:
            return True
        text = f"{envelope.sender} {envelope.recipient} {envelope.subject} {envelope.body}".casefold()
        return all(word in text for word in self._words)
