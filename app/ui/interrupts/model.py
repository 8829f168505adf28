"""The interrupts as a list in two sections: open ones by urgency, answered ones below."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from app.domain import events as ev
from app.domain.board import Board
from app.domain.interrupt import Interrupt, InterruptState, urgency
from app.domain.text import printable
from app.ui.feed import Advance
from app.ui.wording import kind_word, outcome_words, wants_answer

Index = QModelIndex | QPersistentModelIndex
ITEM_ROLE = Qt.ItemDataRole.UserRole + 1
_ROOT = QModelIndex()


class Section(IntEnum):
    """Where a row stands."""

    OPEN = 0
    SETTLED = 1


@dataclass(frozen=True, slots=True)
class Heading:
    """A row that only names its section."""

    section: Section

    @property
    def text(self) -> str:
        """What it says."""
        return "Open" if self.section is Section.OPEN else "Answered"


Item = Interrupt | Heading


def section_of(item: Item) -> Section:
    """The section a row belongs to."""
    if isinstance(item, Heading):
        return item.section
    return Section.OPEN if item.state is InterruptState.OPEN else Section.SETTLED


class InterruptModel(QAbstractListModel):
    """Two headings, then interrupts in the order they were raised; sorting is the proxy's."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._items: list[Item] = [Heading(Section.OPEN), Heading(Section.SETTLED)]
        self._rows: dict[str, int] = {}

    def take_in(self, advance: Advance) -> None:
        """Add what is new, and tell of what was settled."""
        if advance.restarted:
            self.beginResetModel()
            del self._items[2:]
            self._rows.clear()
            self._keep(list(advance.board.interrupts.values()))
            self.endResetModel()
            return
        self._refresh_settled(advance)
        fresh = list(islice(advance.board.interrupts.values(), len(self._rows), None))
        if fresh:
            first = len(self._items)
            self.beginInsertRows(QModelIndex(), first, first + len(fresh) - 1)
            self._keep(fresh)
            self.endInsertRows()

    def row_of(self, interrupt: str) -> int:
        """The row of an interrupt, -1 when there is none."""
        return self._rows.get(interrupt, -1)

    def item(self, row: int) -> Item:
        """What stands in a row."""
        return self._items[row]

    def count(self, section: Section) -> int:
        """Interrupts in a section."""
        return sum(1 for item in self._items[2:] if section_of(item) is section)

    def _refresh_settled(self, advance: Advance) -> None:
        for event in advance.events:
            if isinstance(event, ev.InterruptSettled) and event.interrupt_id in self._rows:
                self._replace(self._rows[event.interrupt_id], advance.board)

    def _replace(self, row: int, board: Board) -> None:
        item = self._items[row]
        assert isinstance(item, Interrupt)
        self._items[row] = board.interrupts[item.id]
        self.dataChanged.emit(self.index(row), self.index(row))

    def _keep(self, interrupts: list[Interrupt]) -> None:
        for interrupt in interrupts:
            self._rows[interrupt.id] = len(self._items)
            self._items.append(interrupt)

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Headings and interrupts."""
        return 0 if parent.isValid() else len(self._items)

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Headings cannot be chosen."""
        if index.isValid() and isinstance(self._items[index.row()], Heading):
            return Qt.ItemFlag.NoItemFlags
        return super().flags(index)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """The interrupt, or its words."""
        if not index.isValid() or index.row() >= len(self._items):
            return None
        item = self._items[index.row()]
        if role == ITEM_ROLE:
            return item
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return printable(words(item))
        return None


def words(item: Item) -> str:
    """A row in one line."""
    if isinstance(item, Heading):
        return item.text
    end = "" if item.state is InterruptState.OPEN else f" ({outcome_words(item)})"
    return f"{item.agent}, {kind_word(item.kind)}: {item.title}{end}"


class InterruptSorter(QSortFilterProxyModel):
    """Open: blocking first, then the riskiest, then the oldest. Settled: the newest first.

    A heading of an empty section is left out.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setDynamicSortFilter(True)

    def use(self, model: InterruptModel) -> None:
        """Sort ``model``."""
        self.setSourceModel(model)
        self.sort(0)
        for signal in (model.dataChanged, model.rowsInserted, model.modelReset):
            signal.connect(self._recount)

    def lessThan(self, left: Index, right: Index) -> bool:
        """Compare by section and urgency."""
        return _rank(self._item(left.row())) < _rank(self._item(right.row()))

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        """All interrupts, and headings that have something below them."""
        item = self._item(source_row)
        return isinstance(item, Interrupt) or self._model().count(item.section) > 0

    def _recount(self) -> None:
        self.beginFilterChange()
        self.endFilterChange()

    def _item(self, row: int) -> Item:
        return self._model().item(row)

    def _model(self) -> InterruptModel:
        model = self.sourceModel()
        assert isinstance(model, InterruptModel)
        return model


def _rank(item: Item) -> tuple[int, int, int, float]:
    section = section_of(item)
    if isinstance(item, Heading):
        return section, -1, 0, 0.0
    if section is Section.SETTLED:
        return section, 0, 0, -item.raised_at.timestamp()
    waited_for, risk, age = urgency(item)
    return section, waited_for + int(not wants_answer(item)), risk, age
