"""Paints the rows of the dashboard: two lines each, state as a chip, figures in columns."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRect, QSize
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.domain.board import AgentView
from app.domain.text import first_line, printable
from app.ui.dashboard.model import VIEW_ROLE, Column, cell_text
from app.ui.theme import Theme
from app.ui.typography import base_font, scaled
from app.ui.widgets.chips import paint_chip
from app.ui.widgets.painting import RIGHT, Index, draw_text, paint_ground, two_lines
from app.ui.wording import state_word

ROW_HEIGHT = 64
_NOTHING = "–"


class AgentDelegate(QStyledItemDelegate):
    """One painter for all columns."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._font = base_font()
        self._small = scaled(self._font, 0.9)
        self._bold = scaled(self._font, 1.0, bold=True)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Rows are of one height."""
        return QSize(80, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint one cell."""
        view = index.data(VIEW_ROLE)
        if not isinstance(view, AgentView):
            return
        column = Column(index.column())
        rect: QRect = option.rect
        painter.save()
        painter.setClipRect(rect)
        paint_ground(painter, option, self._theme, first=column is Column.AGENT)
        if column is Column.AGENT:
            self._agent(painter, rect, view)
        elif column is Column.STATE:
            self._state(painter, rect, view)
        elif column is Column.ACTIVITY:
            self._activity(painter, rect, view)
        else:
            self._figure(painter, rect, view, column)
        painter.restore()

    def _agent(self, painter: QPainter, rect: QRect, view: AgentView) -> None:
        upper, lower = two_lines(rect.adjusted(8, 0, 0, 0))
        draw_text(painter, upper, view.id, self._bold, self._theme.color("text"))
        kind = " · ".join(part for part in (view.type, view.model) if part)
        draw_text(painter, lower, printable(kind), self._small, self._theme.color("muted"))

    def _state(self, painter: QPainter, rect: QRect, view: AgentView) -> None:
        upper, lower = two_lines(rect)
        painter.setFont(self._small)
        paint_chip(painter, upper, state_word(view.state), self._theme.tokens.agent(view.state))
        # What it achieved stands beside it, with more room.
        reason = (
            "finished its task" if view.summary and view.reason == view.summary else printable(first_line(view.reason))
        )
        draw_text(painter, lower, reason, self._small, self._theme.color("muted"))

    def _activity(self, painter: QPainter, rect: QRect, view: AgentView) -> None:
        upper, lower = two_lines(rect)
        action = printable(first_line(view.summary) or view.last_action)
        draw_text(painter, upper, action or "Nothing yet", self._font, self._theme.color("text" if action else "faint"))
        if view.memory_snippet:
            self._memory(painter, lower, printable(view.memory_snippet))

    def _memory(self, painter: QPainter, place: QRect, note: str) -> None:
        caption = "Note"
        draw_text(painter, place, caption, self._small, self._theme.color("faint"))
        width = painter.fontMetrics().horizontalAdvance(caption) + 8
        draw_text(painter, place.adjusted(width, 0, 0, 0), note, self._small, self._theme.color("muted"))

    def _figure(self, painter: QPainter, rect: QRect, view: AgentView, column: Column) -> None:
        text = cell_text(view, column)
        font, token = self._font, "text"
        if text == "0":
            text, token = _NOTHING, "faint"
        elif column is Column.UNREAD:
            font, token = self._bold, "accent"
        draw_text(painter, rect.adjusted(8, 0, -16, -1), text, font, self._theme.color(token), RIGHT)
