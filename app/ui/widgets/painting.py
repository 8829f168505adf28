"""What the delegates share: row grounds, and lines of elided text."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from app.ui.theme import Theme

Index = QModelIndex | QPersistentModelIndex
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


def paint_ground(painter: QPainter, option: QStyleOptionViewItem, theme: Theme, *, first: bool = False) -> None:
    """The row's ground (chosen, hovered or plain), a line below it, and a mark at the left of the chosen row."""
    rect: QRect = option.rect
    state: QStyle.StateFlag = option.state
    chosen = bool(state & QStyle.StateFlag.State_Selected)
    if chosen:
        painter.fillRect(rect, theme.color("selection"))
    elif state & QStyle.StateFlag.State_MouseOver:
        painter.fillRect(rect, theme.color("hover"))
    painter.fillRect(rect.x(), rect.bottom(), rect.width(), 1, theme.color("border"))
    if chosen and first:
        painter.fillRect(rect.x(), rect.y(), 3, rect.height() - 1, theme.color("accent"))


def draw_text(
    painter: QPainter, place: QRect, text: str, font: QFont, color: QColor, align: Qt.AlignmentFlag = LEFT
) -> None:
    """One line, elided at the right."""
    painter.setFont(font)
    painter.setPen(color)
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, int(align), shown)


def two_lines(rect: QRect, padding: int = 8) -> tuple[QRect, QRect]:
    """The places of an upper and a lower line in a row."""
    inner = rect.adjusted(padding, 0, -padding, -1)
    half = inner.height() // 2
    upper = QRect(inner.x(), inner.y() + 6, inner.width(), half - 6)
    return upper, QRect(inner.x(), inner.y() + half, inner.width(), inner.height() - half - 6)
