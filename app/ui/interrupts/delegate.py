"""Paints the rows of the inbox: who, what, since when; and how it was answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import QObject, QPointF, QRect, QSize
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.domain.interrupt import Interrupt, InterruptKind, InterruptState
from app.domain.text import first_line, printable
from app.ui.interrupts.model import ITEM_ROLE, Heading
from app.ui.theme import Theme
from app.ui.tokens import Tokens, Tone
from app.ui.typography import base_font, scaled
from app.ui.widgets.chips import paint_dot
from app.ui.widgets.painting import RIGHT, Index, draw_text, paint_ground
from app.ui.wording import about_words, duration, outcome_words, time_of_day, wants_answer

_ROW = 68
_HEADING = 36
_LEFT = 32


class InterruptDelegate(QStyledItemDelegate):
    """``now`` gives the time that ages are counted to."""

    def __init__(self, theme: Theme, now: Callable[[], datetime], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._now = now
        self._font = base_font()
        self._bold = scaled(self._font, 1.0, bold=True)
        self._small = scaled(self._font, 0.9)
        self._caption = scaled(self._font, 0.88, bold=True)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Headings are lower."""
        return QSize(200, _HEADING if isinstance(index.data(ITEM_ROLE), Heading) else _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint one row."""
        item = index.data(ITEM_ROLE)
        rect: QRect = option.rect
        painter.save()
        painter.setClipRect(rect)
        if isinstance(item, Heading):
            place = rect.adjusted(16, 8, -16, 0)
            draw_text(painter, place, item.text, self._caption, self._theme.color("faint"))
        elif isinstance(item, Interrupt):
            paint_ground(painter, option, self._theme, first=True)
            self._interrupt(painter, rect, item)
        painter.restore()

    def _interrupt(self, painter: QPainter, rect: QRect, item: Interrupt) -> None:
        is_open = item.state is InterruptState.OPEN
        inner = rect.adjusted(_LEFT, 12, -16, -12)
        upper = QRect(inner.x(), inner.y(), inner.width(), inner.height() // 2)
        lower = upper.translated(0, inner.height() // 2 + 1)
        tone = kind_tone(self._theme.tokens, item) if is_open else self._theme.tokens.neutral
        paint_dot(painter, QPointF(rect.x() + 20, upper.center().y() + 1), QColor(tone.ink))
        when = duration((self._now() - item.raised_at).total_seconds()) if is_open else time_of_day(item.raised_at)
        painter.setFont(self._small)
        width = painter.fontMetrics().horizontalAdvance(when) + 12
        draw_text(painter, upper, when, self._small, self._theme.color("faint"), RIGHT)
        title = printable(first_line(item.title, 300))
        font, token = (self._bold, "text") if is_open else (self._font, "muted")
        draw_text(painter, upper.adjusted(0, 0, -width, 0), title, font, self._theme.color(token))
        below = (
            f"{item.agent} · {about_words(item)}" if is_open else f"{item.agent} · {first_line(outcome_words(item))}"
        )
        draw_text(painter, lower, printable(below), self._small, self._theme.color("muted"))


def kind_tone(tokens: Tokens, item: Interrupt) -> Tone:
    """The hue of an interrupt: what blocks is warmer than what only tells."""
    if item.kind is InterruptKind.DEBUG_REQUEST:
        return tokens.red
    return tokens.amber if wants_answer(item) else tokens.blue
