"""The transcript as a widget: appended to in small batches, bounded, following its end unless the user reads above."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import (
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
    QTextBlock,
    QTextOption,
)  # fmt: skip
from PySide6.QtWidgets import QFrame, QPlainTextDocumentLayout, QPlainTextEdit, QWidget

from app.ui.console.entries import Entry, Piece, Role
from app.ui.console.gutter import MARGIN, WIDTH, Gutter, paint_behind
from app.ui.console.ledger import Ledger
from app.ui.console.look import Look
from app.ui.console.writer import Writer, in_small_parts
from app.ui.theme import Theme

MAX_BLOCKS = 5000
FRAME_MS = 16
BUDGET_SECONDS = 0.004
_RIGHT = 16
_BELOW = 4
_FOLD_KEYS = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)


class TranscriptView(QPlainTextEdit):
    """Shows pieces. ``following_changed`` says whether new text scrolls into view."""

    following_changed = Signal(bool)
    drained = Signal()
    """Everything handed in is shown."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.following = True
        self._sources: deque[Iterator[Piece]] = deque()
        self._scrolling = False
        self._gutter = Gutter(self)
        self._set_up()
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self.flush)
        self.updateRequest.connect(self._gutter.follow)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        self.verticalScrollBar().rangeChanged.connect(self._grown)
        self.begin()

    def _set_up(self) -> None:
        self.setAccessibleName("Transcript")
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMaximumBlockCount(MAX_BLOCKS)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        flags = Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        self.setTextInteractionFlags(flags)
        self.document().setDocumentMargin(MARGIN)
        self.setViewportMargins(WIDTH, 0, _RIGHT, _BELOW)
        self.viewport().setMouseTracking(True)

    # -- what comes in ---------------------------------------------------------------------------------------------
    def begin(self) -> None:
        """Forget everything: another transcript follows."""
        self._sources.clear()
        self._scrolling = True
        self.clear()
        self._scrolling = False
        self.look = Look(self.theme)
        self.ledger = Ledger()
        self._writer = Writer(self.document(), self.ledger, self.look)
        self.follow(True)

    def append(self, pieces: Iterable[Piece]) -> None:
        """Show ``pieces`` in the coming frames; they are taken from the iterable only then."""
        self._sources.append(in_small_parts(pieces))
        self._wake()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be shown."""
        return not self._sources

    def flush(self) -> None:
        """Show what waits, for at most about ``BUDGET_SECONDS``."""
        top = self.firstVisibleBlock()
        end = time.perf_counter() + BUDGET_SECONDS
        clock = iter(lambda: time.perf_counter() > end, None)
        self._scrolling = True
        while self._sources and self._writer.write(self._sources[0], clock):
            self._sources.popleft()
        self._settle(top)
        self._scrolling = False
        if not self._sources:
            self._timer.stop()
            self.drained.emit()

    def _settle(self, top: QTextBlock) -> None:
        """Stay at the end, or keep the line the user reads where it is although lines fell off the top."""
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum() if self.following else top.firstLineNumber() if top.isValid() else bar.value())
        self.ledger.prune(self.document().firstBlock())
        self._gutter.update()
        self.viewport().update()

    def _wake(self) -> None:
        if self._sources and self.isVisible() and not self._timer.isActive():
            self._timer.start()

    # -- following -------------------------------------------------------------------------------------------------
    def follow(self, following: bool) -> None:
        """Keep the end in view, or stay where the user reads."""
        if following:
            self._to_end()
        if following != self.following:
            self.following = following
            self.following_changed.emit(following)

    def _to_end(self) -> None:
        self._scrolling = True
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())
        self._scrolling = False

    def _scrolled(self, value: int) -> None:
        if not self._scrolling:
            self.follow(value >= self.verticalScrollBar().maximum())

    def _grown(self, _minimum: int, _maximum: int) -> None:
        if self.following and not self._scrolling:
            self._to_end()

    # -- folding ---------------------------------------------------------------------------------------------------
    def toggle(self, block: QTextBlock) -> bool:
        """Fold or unfold the entry whose head ``block`` is; False when it is no such line."""
        entry = self.ledger.entry(block)
        if entry is None or not entry.folds or self.ledger.role(block) is not Role.HEAD:
            return False
        entry.folded = not entry.folded
        self._show_lines(block, entry)
        return True

    def _show_lines(self, head: QTextBlock, entry: Entry) -> None:
        block = head.next()
        while block.isValid() and self.ledger.entry(block) is entry:
            if self.ledger.role(block) is Role.BODY:
                block.setVisible(not entry.folded)
                block.setLineCount(0 if entry.folded else max(1, block.layout().lineCount()))
            block = block.next()
        end = block.position() if block.isValid() else self.document().characterCount()
        was_following, self.following = self.following, False
        self.document().markContentsDirty(head.position(), end - head.position())
        layout = self.document().documentLayout()
        assert isinstance(layout, QPlainTextDocumentLayout)
        layout.requestUpdate()
        layout.documentSizeChanged.emit(layout.documentSize())
        self.following = was_following
        self.viewport().update()
        self._gutter.update()
        self._scrolled(self.verticalScrollBar().value())

    def _head_at(self, point: QPoint) -> QTextBlock:
        return self.cursorForPosition(point).block()

    # -- Qt's events -----------------------------------------------------------------------------------------------
    def paintEvent(self, event: QPaintEvent) -> None:
        """Cards first, text above them."""
        painter = QPainter(self.viewport())
        painter.setClipRect(event.rect())
        paint_behind(self, painter)
        painter.end()
        super().paintEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the gutter at the left, and the end in view."""
        super().resizeEvent(event)
        self._gutter.place(self.contentsRect())
        if self.following:
            self._to_end()

    def showEvent(self, event: QShowEvent) -> None:
        """Go on with what came while hidden."""
        super().showEvent(event)
        self._wake()

    def hideEvent(self, event: QHideEvent) -> None:
        """A hidden transcript costs nothing."""
        super().hideEvent(event)
        self._timer.stop()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click on a caption folds or unfolds."""
        super().mouseReleaseEvent(event)
        if event.button() is Qt.MouseButton.LeftButton and not self.textCursor().hasSelection():
            self.toggle(self._head_at(event.position().toPoint()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The hand says where a click does something."""
        super().mouseMoveEvent(event)
        entry = self.ledger.entry(block := self._head_at(event.position().toPoint()))
        hand = entry is not None and entry.folds and self.ledger.role(block) is Role.HEAD
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.IBeamCursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space or Enter folds at the text cursor; End goes to the newest line and stays there."""
        if event.key() in _FOLD_KEYS and self.toggle(self.textCursor().block()):
            return
        super().keyPressEvent(event)
        if event.key() == Qt.Key.Key_End:
            self.follow(True)
