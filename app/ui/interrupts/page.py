"""The interrupts page: the inbox at the left, the chosen one at the right; all of it works from the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from PySide6.QtCore import QEvent, QModelIndex, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QFrame, QListView, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.domain.board import MessageView
from app.domain.interrupt import Interrupt, alike
from app.ui.feed import Advance
from app.ui.fleet_actions import FleetActions
from app.ui.interrupts.delegate import InterruptDelegate
from app.ui.interrupts.detail import InterruptDetail
from app.ui.interrupts.model import ITEM_ROLE, InterruptModel, InterruptSorter
from app.ui.interrupts.ways import Way
from app.ui.theme import Theme
from app.ui.widgets.empty_state import EmptyState

_LIST_WIDTH = 380
_NARROW_LIST_WIDTH = 264
_NARROW = 900
_SIDE_BY_SIDE = 660
_WAY_KEYS = {"a": Way.ANSWER, "n": Way.INSTRUCT, "c": Way.CANCEL}


class InterruptsPage(QWidget):
    """``console_wanted`` asks for an agent's console."""

    console_wanted = Signal(str)

    def __init__(self, theme: Theme, actions: FleetActions, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._messages: Mapping[str, MessageView] = {}
        self.model = InterruptModel(self)
        self.sorter = InterruptSorter(self)
        self.sorter.use(self.model)
        self.detail = InterruptDetail(theme, actions, now)
        self._list = QListView()
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        self._empty = EmptyState(
            theme,
            "interrupts",
            "Nobody needs you",
            "When an agent has a question, is stuck or reports, it appears here.",
        )
        self._stack = QStackedWidget()
        self._lay_out(now)
        self._connect()

    def take_in(self, advance: Advance) -> None:
        """Add what is new; the chosen one stays chosen although its row moves."""
        self._messages = advance.board.messages
        self.model.take_in(advance)
        self._stack.setCurrentWidget(self._splitter if advance.board.interrupts else self._empty)
        if advance.restarted:
            self.detail.show_interrupt(None)
        if self._chosen() is None:
            self.show_first()
        self._show_chosen()

    def show_first(self) -> None:
        """Choose the most urgent one."""
        for row in range(self.sorter.rowCount()):
            if isinstance(self.sorter.index(row, 0).data(ITEM_ROLE), Interrupt):
                self._list.setCurrentIndex(self.sorter.index(row, 0))
                return

    def show_interrupt(self, interrupt: str) -> None:
        """Choose an interrupt."""
        row = self.model.row_of(interrupt)
        if row >= 0:
            self._list.setCurrentIndex(self.sorter.mapFromSource(self.model.index(row, 0)))
            self._list.setFocus()

    def step(self, by: int) -> None:
        """Choose the next one, or the one before."""
        row = self._list.currentIndex().row() + by
        while 0 <= row < self.sorter.rowCount():
            index = self.sorter.index(row, 0)
            if isinstance(index.data(ITEM_ROLE), Interrupt):
                self._list.setCurrentIndex(index)
                return
            row += by

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keys of the inbox, wherever on the page they are pressed, but not while text is typed."""
        if event.type() is QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._key(event)
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The same keys when nothing below took them."""
        if self.detail.form.text_has_focus or not self._key(event):
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrower list in a narrow window; above the chosen one where both do not fit side by side."""
        super().resizeEvent(event)
        size = event.size()
        below = size.width() < _SIDE_BY_SIDE
        self._splitter.setOrientation(Qt.Orientation.Vertical if below else Qt.Orientation.Horizontal)
        whole = size.height() if below else size.width()
        first = _NARROW_LIST_WIDTH if size.width() < _NARROW else _LIST_WIDTH
        first = whole // 3 if below else first
        self._splitter.setSizes([first, whole - first])

    def _key(self, event: QKeyEvent) -> bool:
        if event.modifiers() not in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier):
            return False
        text = event.text()
        if text in ("j", "k"):
            self.step(1 if text == "j" else -1)
        elif text.isdigit() and text != "0":
            self.detail.form.choose(int(text) - 1)
        elif text == "r":
            self.detail.form.write()
        elif text in _WAY_KEYS:
            self.detail.form.take(_WAY_KEYS[text])
        elif text == "g":
            self.detail.toggle_alike()
        else:
            return False
        return True

    def _chosen(self) -> Interrupt | None:
        index = self._list.currentIndex()
        item = index.data(ITEM_ROLE) if index.isValid() else None
        return item if isinstance(item, Interrupt) else None

    def _row_changed(self, _current: QModelIndex, _previous: QModelIndex) -> None:
        self._show_chosen()

    def _show_chosen(self) -> None:
        chosen = self._chosen()
        held = self._messages.get(chosen.message_id or "") if chosen is not None else None
        self.detail.show_interrupt(chosen, held.envelope.body if held is not None else "")
        others = [item for row in range(self.model.rowCount()) if isinstance(item := self.model.item(row), Interrupt)]
        self.detail.show_alike(len(alike(chosen, others)) if chosen is not None else 1)

    def _tick(self) -> None:
        if self.isVisible():
            self.detail.refresh()
            self._list.viewport().update()

    def _connect(self) -> None:
        self._list.selectionModel().currentChanged.connect(self._row_changed)
        self._list.installEventFilter(self)
        self.detail.console_wanted.connect(self.console_wanted)
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            context = Qt.ShortcutContext.WidgetWithChildrenShortcut
            QShortcut(QKeySequence(keys), self, self.detail.form.send, context=context)
        ticker = QTimer(self)
        ticker.timeout.connect(self._tick)
        ticker.start(1000)

    def _lay_out(self, now: Callable[[], datetime]) -> None:
        self._list.setObjectName("interrupts-list")
        self._list.setAccessibleName("Interrupts")
        self._list.setModel(self.sorter)
        self._list.setItemDelegate(InterruptDelegate(self._theme, now, self._list))
        self._list.setFrameShape(QFrame.Shape.NoFrame)
        self._list.setMouseTracking(True)
        self._list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._splitter.setHandleWidth(1)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self._list)
        self._splitter.addWidget(self.detail)
        self._splitter.setStretchFactor(1, 1)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._splitter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self.setFocusProxy(self._list)
