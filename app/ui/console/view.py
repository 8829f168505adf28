"""The transcript as a widget: appended to in small batches, bounded, following its end unless the user reads above."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator

from PySide6.QtCore import QEvent, QRect, Qt, QTimer, Signal
from PySide6.QtGui import (
    QFont, QHideEvent, QKeyEvent, QMouseEvent, QPaintEvent, QResizeEvent, QShowEvent, QTextBlock, QTextCursor,
    QTextOption,
)  # fmt: skip
from PySide6.QtWidgets import QFrame, QPlainTextDocumentLayout, QPlainTextEdit, QWidget

from app.ui.console.entries import Entry, Piece, Role
from app.ui.console.gutter import Gutter, paint_cards
from app.ui.console.look import Look
from app.ui.console.pages import Pages
from app.ui.theme import Theme

MAX_BLOCKS = 5000
FRAME_MS = 16
BUDGET_SECONDS = 0.005
GUTTER = 84
_RIGHT = 16


class TranscriptView(QPlainTextEdit):
    """Shows pieces. ``following_changed`` says whether new text scrolls into view."""

    following_changed = Signal(bool)
    drained = Signal()
    """Everything handed in is shown."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("transcript")
        self.setAccessibleName("Transcript")
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMaximumBlockCount(MAX_BLOCKS)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.document().setDocumentMargin(0)
        self.setViewportMargins(GUTTER, 0, _RIGHT, 0)
        self.viewport().setMouseTracking(True)
        self.theme = theme
        self.look = Look(theme)
        self.pages = Pages()
        self.following = True
        self._sources: deque[Iterator[Piece]] = deque()
        self._last: Entry | None = None
        self._owes_newline = False
        self._scrolling = False
        self._gutter = Gutter(self)
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self.flush)
        self.updateRequest.connect(self._gutter.follow)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)

    # -- what comes in ---------------------------------------------------------------------------------------------
    def begin(self) -> None:
        """Forget everything: another transcript follows."""
        self._sources.clear()
        self._timer.stop()
        self._scrolling = True
        self.clear()
        self._scrolling = False
        self.look = Look(self.theme)
        self.pages = Pages()
        self._last, self._owes_newline = None, False
        self.follow(True)

    def append(self, pieces: Iterable[Piece]) -> None:
        """Show ``pieces`` in the coming frames; they are taken from the iterable only then."""
        self._sources.append(_in_small_parts(pieces))
        if self.isVisible() and not self._timer.isActive():
            self._timer.start()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be shown."""
        return not self._sources

    def flush(self) -> None:
        """Show what waits, for at most about ``BUDGET_SECONDS``."""
        end = time.perf_counter() + BUDGET_SECONDS
        above = self.verticalScrollBar().value()
        blocks_before = self.pages.written
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        while self._sources and time.perf_counter() < end:
            piece = next(self._sources[0], None)
            if piece is None:
                self._sources.popleft()
            else:
                self._write(cursor, piece)
        cursor.endEditBlock()
        self._settle(above, self.pages.written - blocks_before)
        if not self._sources:
            self._timer.stop()
            self.drained.emit()

    def _write(self, cursor: QTextCursor, piece: Piece) -> None:
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if piece.entry is not self._last:
            self._gap(cursor, piece.entry)
        if piece.fresh or self._owes_newline:
            self._new_block(cursor, piece.entry, piece.role)
        elif piece.role is Role.ASIDE:
            cursor.insertText("   ", self.look.format(piece.entry, piece.role))
        self._owes_newline = False
        for run in piece.runs:
            text = run.text
            if text.startswith("\r"):
                cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock, QTextCursor.MoveMode.KeepAnchor)
                cursor.removeSelectedText()
                text = text[1:]
            self._insert(cursor, piece, text, run is piece.runs[-1])
        self._last = piece.entry

    def _insert(self, cursor: QTextCursor, piece: Piece, text: str, last: bool) -> None:
        run = piece.runs[-1] if last else next(r for r in piece.runs if r.text.lstrip("\r") == text)
        look = self.look.format(piece.entry, piece.role, run.sgr)
        lines = text.split("\n")
        if last and piece.role is Role.OUTPUT and len(lines) > 1 and not lines[-1]:
            lines.pop()
            self._owes_newline = True
        for number, line in enumerate(lines):
            if number:
                self._new_block(cursor, piece.entry, piece.role)
            cursor.insertText(line, look)

    def _gap(self, cursor: QTextCursor, entry: Entry) -> None:
        if self._last is not None:
            cursor.insertBlock()
            self.pages.mark_gap(cursor.block(), entry)
        cursor.insertText(" ", self.look.gap(entry))
        self._owes_newline = True

    def _new_block(self, cursor: QTextCursor, entry: Entry, role: Role) -> None:
        cursor.insertBlock()
        block = cursor.block()
        self.pages.mark(block, entry, role)
        if role is Role.BODY and entry.folds and entry.folded:
            block.setVisible(False)

    # -- following -------------------------------------------------------------------------------------------------
    def follow(self, following: bool) -> None:
        """Keep the end in view, or stay where the user reads."""
        if following != self.following:
            self.following = following
            self.following_changed.emit(following)
        if following:
            self._to_end()

    def _to_end(self) -> None:
        self._scrolling = True
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())
        self._scrolling = False

    def _settle(self, above: int, written: int) -> None:
        if self.following:
            self._to_end()
        self._gutter.update()

    def _scrolled(self, value: int) -> None:
        if self._scrolling:
            return
        self.follow_if(value >= self.verticalScrollBar().maximum() - 1)

    def follow_if(self, at_end: bool) -> None:
        """The user scrolled: follow again only from the end."""
        if at_end != self.following:
            self.following = at_end
            self.following_changed.emit(at_end)
