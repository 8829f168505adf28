"""Paints the rows of the message log."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRect, QSize
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.domain.board import MessageView
from app.domain.text import first_line, printable
from app.ui.messages.model import VIEW_ROLE, Column, cell_text
from app.ui.theme import Theme
from app.ui.typography import base_font, mono_font, scaled
from app.ui.widgets.chips import paint_chip
from app.ui.widgets.painting import Index, draw_text, paint_ground
from app.ui.wording import FAILED, WAITING, person

ROW_HEIGHT = 40


class MessageDelegate(QStyledItemDelegate):
    """One painter for all columns."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._font = base_font()
        self._small = scaled(self._font, 0.9)
        self._bold = scaled(self._font, 1.0, bold=True)
        self._mono = mono_font(0.85)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Rows are of one height."""
        return QSize(60, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint one cell."""
        view = index.data(VIEW_ROLE)
        if not isinstance(view, MessageView):
            return
        column = Column(index.column())
        rect: QRect = option.rect
        painter.save()
        painter.setClipRect(rect)
        paint_ground(painter, option, self._theme, first=column is Column.TIME)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if column is Column.TIME and view.state in WAITING and not chosen:
            ink = QColor(self._theme.tokens.message(view.state).ink)
            painter.fillRect(rect.x() + 5, rect.y() + 8, 3, rect.height() - 17, ink)
        inner = rect.adjusted(16 if column is Column.TIME else 8, 0, -8, -1)
        if column is Column.TIME:
            draw_text(painter, inner, cell_text(view, column), self._mono, self._theme.color("faint"))
        elif column is Column.ROUTE:
            self._route(painter, inner, view)
        elif column is Column.SUBJECT:
            self._subject(painter, inner, view)
        elif column is Column.MODE:
            sync = view.envelope.mode == "sync"
            draw_text(painter, inner, view.envelope.mode, self._small, self._theme.color("text" if sync else "faint"))
        else:
            painter.setFont(self._small)
            paint_chip(painter, inner, view.state.value, self._theme.tokens.message(view.state))
        painter.restore()

    def _route(self, painter: QPainter, place: QRect, view: MessageView) -> None:
        sender, recipient = person(view.envelope.sender), person(view.envelope.recipient)
        painter.setFont(self._font)
        measure = painter.fontMetrics().horizontalAdvance
        half = max(place.width() // 2, place.width() - measure(f" → {recipient}") - 4)
        x = place.x() + self._words(painter, place, sender, self._font, "text", half)
        x += self._words(
            painter, QRect(x, place.y(), place.right() - x, place.height()), " → ", self._font, "faint", 40
        )
        rest = QRect(x, place.y(), place.right() - x, place.height())
        self._words(painter, rest, recipient, self._font, "text", rest.width())

    def _subject(self, painter: QPainter, place: QRect, view: MessageView) -> None:
        subject = printable(view.envelope.subject)
        font = self._bold if view.state in WAITING else self._font
        if view.state in FAILED and view.reason:
            # Why it went nowhere matters more than what it said; it gets at least half of the room.
            used = self._words(painter, place, subject or "…", font, "text", place.width() // 2) + 12
            rest = place.adjusted(used, 0, 0, 0)
            self._words(painter, rest, printable(first_line(view.reason, 400)), self._font, "danger", rest.width())
            return
        used = self._words(painter, place, subject, font, "text", place.width()) if subject else 0
        rest = place.adjusted(used + (12 if used else 0), 0, 0, 0)
        if rest.width() > 40:
            body = printable(first_line(view.envelope.body, 400))
            self._words(painter, rest, body, self._font, "muted" if subject else "text", rest.width())

    def _words(self, painter: QPainter, place: QRect, text: str, font: QFont, token: str, limit: int) -> int:
        """Draw within ``limit`` pixels; returns the width used."""
        painter.setFont(font)
        width = min(painter.fontMetrics().horizontalAdvance(text) + 1, limit)
        draw_text(painter, QRect(place.x(), place.y(), width, place.height()), text, font, self._theme.color(token))
        return width
