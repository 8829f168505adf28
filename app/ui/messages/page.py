"""The messages page: the log, the chosen message, and the composer."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QSplitter,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from app.domain import events as ev
from app.domain.board import Board, MessageView
from app.domain.envelope import USER
from app.domain.events import ENDED
from app.ui.feed import Advance
from app.ui.fleet_actions import FleetActions
from app.ui.messages.composer import Composer
from app.ui.messages.delegate import ROW_HEIGHT, MessageDelegate
from app.ui.messages.detail import MessageDetail
from app.ui.messages.filters import Filters
from app.ui.messages.model import VIEW_ROLE, Column, MessageFilter, MessageModel
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button, give_icon
from app.ui.widgets.empty_state import EmptyState

_SIDE_BY_SIDE = 1080
"""From this width on the chosen message stands beside the log, not below."""


class MessagesPage(QWidget):
    """Follows the log; the newest message is at the top."""

    def __init__(self, theme: Theme, actions: FleetActions) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self.model = MessageModel(self)
        self.filter = MessageFilter(self)
        self.filter.setSourceModel(self.model)
        self._filters = Filters()
        self._actions = actions
        self._board: Board | None = None
        self._told: set[str] = set()
        self._write = button("Write", "messages-write", tip="Write to an agent (Ctrl+N)")
        self._table = QTableView()
        self.detail = MessageDetail(theme, actions)
        self.composer = Composer(theme, actions)
        self._right = QStackedWidget()
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._empty = EmptyState(
            theme,
            "messages",
            "No messages yet",
            "What agents write to each other and to you appears here.",
        )
        self._stack = QStackedWidget()
        self._touched = False
        self._lay_out()
        self._connect()

    def take_in(self, advance: Advance) -> None:
        """Add what is new."""
        self._board = advance.board
        if advance.restarted:
            self._told.clear()
        self.model.take_in(advance)
        agents = advance.board.agents
        self.composer.offer([name for name, view in agents.items() if view.state not in ENDED] or list(agents))
        self.composer.take_in(advance.board)
        self._filters.offer([USER, *agents])
        self._stack.setCurrentWidget(self._splitter if self.model.rowCount() else self._empty)
        if self._chosen() is None or not (self._touched or self.isVisible()):
            self._choose_newest()
        chosen = self._chosen()
        if chosen is not None and _changes_thread(advance, chosen):
            self._show(chosen)
        else:
            self.detail.refresh()
        self._write.setEnabled(bool(agents))

    def _choose_newest(self) -> None:
        """Until the user picks a message the newest is shown; but never another under the eyes of who reads."""
        if self.filter.rowCount():
            self._table.selectRow(0)
            self._table.scrollToTop()

    def _touch(self) -> None:
        self._touched = True

    def write(self) -> None:
        """Open the composer, to the agent of the chosen message."""
        self.composer.show()
        view = self._chosen()
        self.composer.write_to(view.envelope.sender if view is not None else "")
        QTimer.singleShot(0, self._keep_in_view)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Side by side where there is room."""
        super().resizeEvent(event)
        size = event.size()
        wide = size.width() >= _SIDE_BY_SIDE
        orientation = Qt.Orientation.Horizontal if wide else Qt.Orientation.Vertical
        if self._splitter.orientation() is not orientation or not event.oldSize().isValid():
            self._splitter.setOrientation(orientation)
            whole = size.width() if wide else size.height()
            self._splitter.setSizes([whole * 11 // 20, whole * 9 // 20])

    def _chosen(self) -> MessageView | None:
        view = self._table.currentIndex().data(VIEW_ROLE) if self._table.currentIndex().isValid() else None
        return view if isinstance(view, MessageView) else None

    def _row_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        view = current.data(VIEW_ROLE) if current.isValid() else None
        self._show(view if isinstance(view, MessageView) else None)

    def _show(self, view: MessageView | None) -> None:
        """The message in its conversation, and what there is to decide about it."""
        self._right.setCurrentIndex(0 if view is not None else 1)
        if view is None or self._board is None:
            self.detail.show_message(None)
            return
        name = view.envelope.id
        waiting = next((item for item in self._board.open_interrupts if item.message_id == name and item.options), None)
        self.detail.show_message(view, self._board.thread(name), waiting)

    def _pick(self, message: str) -> None:
        """Turn to a message of the conversation; one that the filter hides cannot be chosen."""
        index = self.filter.mapFromSource(self.model.index(self.model.row_of(message), 0))
        if index.isValid():
            self._touch()
            self._table.selectRow(index.row())
            self._table.scrollTo(index)

    def _reply(self) -> None:
        view = self._chosen()
        if view is not None and self.detail.can_reply:
            self.composer.show()
            self.composer.reply_to(view)
            QTimer.singleShot(0, self._keep_in_view)

    def _keep_in_view(self) -> None:
        """The composer takes room from the log; what it is about stays in sight."""
        self._table.scrollTo(self._table.currentIndex())

    def _mark_read(self, messages: list[str]) -> None:
        """Say once of each message that the user has it before them; again when that could not be said."""
        new = [item for item in messages if item not in self._told]
        if not new or not self._actions.ready:
            return
        self._told.update(new)
        self._actions.mark_read(new, lambda _error: self._told.difference_update(new))

    def _refilter(self) -> None:
        self._filters.apply(self.filter)
        if self._chosen() is None:
            self._choose_newest()

    def _connect(self) -> None:
        self._filters.changed.connect(self._refilter)
        self.detail.picked.connect(self._pick)
        self.detail.reply_wanted.connect(self._reply)
        self.detail.seen.connect(self._mark_read)
        self._actions.link_changed.connect(self.detail.refresh)
        self._write.clicked.connect(self.write)
        self._table.clicked.connect(self._touch)
        self.composer.closed.connect(self.composer.hide)
        self._table.selectionModel().currentRowChanged.connect(self._row_changed)
        page = Qt.ShortcutContext.WidgetWithChildrenShortcut
        QShortcut(QKeySequence("Ctrl+N"), self, self.write, context=page)
        QShortcut(QKeySequence("Ctrl+F"), self, self._filters.words.setFocus, context=page)
        QShortcut(QKeySequence("Ctrl+R"), self, self._reply, context=page)

    def _lay_out(self) -> None:
        self._set_up_table()
        self._right.addWidget(self.detail)
        self._right.addWidget(EmptyState(self._theme, "messages", "No message fits", "Change the filter above."))
        self._splitter.setHandleWidth(1)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self._table)
        self._splitter.addWidget(self._right)
        self._splitter.setStretchFactor(0, 11)
        self._splitter.setStretchFactor(1, 9)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._splitter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._toolbar())
        layout.addWidget(self._stack, 1)
        layout.addWidget(self.composer)
        self.composer.hide()
        self.setFocusProxy(self._table)

    def _toolbar(self) -> QWidget:
        bar = QWidget()
        bar.setObjectName("toolbar")
        bar.setFixedHeight(7 * SPACE)
        give_icon(self._write, self._theme, "compose")
        row = QHBoxLayout(bar)
        row.setContentsMargins(2 * SPACE, 0, 2 * SPACE, 0)
        row.setSpacing(SPACE)
        row.addWidget(self._filters, 1)
        row.addWidget(self._write)
        return bar

    def _set_up_table(self) -> None:
        table = self._table
        table.setObjectName("messages-table")
        table.setAccessibleName("Messages")
        table.setModel(self.filter)
        table.setItemDelegate(MessageDelegate(self._theme, table))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setMouseTracking(True)
        table.setTabKeyNavigation(False)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setMinimumHeight(36 + 2 * ROW_HEIGHT)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(48)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(Column.SUBJECT, QHeaderView.ResizeMode.Stretch)
        for column, width in ((Column.TIME, 88), (Column.ROUTE, 248), (Column.MODE, 64), (Column.STATE, 116)):
            table.setColumnWidth(column, width)


def _changes_thread(advance: Advance, chosen: MessageView) -> bool:
    """Whether more changed than states; looking a thread up costs a walk over all messages."""
    thread = chosen.envelope.correlation_id or chosen.envelope.id
    return advance.restarted or any(
        isinstance(event, ev.InterruptRaised | ev.InterruptSettled)
        or (isinstance(event, ev.MessageAccepted) and event.envelope.correlation_id == thread)
        for event in advance.events
    )
