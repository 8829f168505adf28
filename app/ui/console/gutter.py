"""Beside and behind the transcript: times and fold marks at the left, a card behind each command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPolygonF, QTextBlock
from PySide6.QtWidgets import QWidget

from app.ui.console.entries import Entry, EntryKind, Progress, Role
from app.ui.typography import mono_font
from app.ui.widgets.chips import paint_dot
from app.ui.wording import time_of_day

if TYPE_CHECKING:
    from app.ui.console.view import TranscriptView

WIDTH = 92
MARGIN = 14
"""Between the gutter and the text: a card reaches into it."""
_CARD_RADIUS = 6.0
_TIME_RIGHT = 24


@dataclass(frozen=True, slots=True)
class Line:
    """A visible line of the document, where it stands in the viewport."""

    block: QTextBlock
    rect: QRectF


class Gutter(QWidget):
    """The strip at the left of a transcript."""

    def __init__(self, view: TranscriptView) -> None:
        super().__init__(view)
        self._view = view
        self._font = mono_font(0.82)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def sizeHint(self) -> QSize:
        """Wide enough for a time and a mark."""
        return QSize(WIDTH, 0)

    def place(self, contents: QRect) -> None:
        """Stand at the left of the view's contents."""
        self.setGeometry(QRect(contents.left(), contents.top(), WIDTH, contents.height()))

    def follow(self, rect: QRect, scrolled: int) -> None:
        """Move with the text."""
        if scrolled:
            self.scroll(0, scrolled)
        else:
            self.update(0, rect.y(), self.width(), rect.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the time of each entry, its fold mark, and the dot of a command."""
        painter = QPainter(self)
        last = ""
        for line in visible_lines(self._view):
            entry = self._view.ledger.entry(line.block)
            if entry is not None and self._view.ledger.starts(line.block):
                # The same second is told once: less to read past.
                time = time_of_day(entry.at)
                self._mark(painter, line, entry, time if time != last else "")
                last = time
        painter.end()

    def _mark(self, painter: QPainter, line: Line, entry: Entry, time: str) -> None:
        theme = self._view.theme
        height = line.block.layout().lineAt(0).height() if line.block.layout().lineCount() else line.rect.height()
        painter.setFont(self._font)
        painter.setPen(theme.color("faint"))
        place = QRectF(0, line.rect.y(), WIDTH - _TIME_RIGHT, height)
        painter.drawText(place, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), time)
        center = QPointF(WIDTH - 10, line.rect.y() + height / 2)
        if entry.folds:
            self._arrow(painter, center, entry.folded)
        elif entry.progress is not Progress.NONE:
            paint_dot(painter, center, self._view.look.bar(entry))

    def _arrow(self, painter: QPainter, center: QPointF, folded: bool) -> None:
        points = [QPointF(-2, -4), QPointF(3, 0), QPointF(-2, 4)]
        if not folded:
            points = [QPointF(-4, -2), QPointF(0, 3), QPointF(4, -2)]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate(center)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._view.theme.color("muted"))
        painter.drawPolygon(QPolygonF(points))
        painter.restore()


def visible_lines(view: TranscriptView) -> Iterator[Line]:
    """The lines in the viewport, top to bottom; folded ones left out."""
    block = view.firstVisibleBlock()
    offset = view.contentOffset()
    bottom = view.viewport().height()
    while block.isValid():
        if block.isVisible():
            rect = view.blockBoundingGeometry(block).translated(offset)
            if rect.top() > bottom:
                return
            yield Line(block, rect)
        block = block.next()


def paint_behind(view: TranscriptView, painter: QPainter) -> None:
    """Cards behind commands, a rule above each turn, a bar beside what was unfolded."""
    group: list[Line] = []
    for line in visible_lines(view):
        entry = view.ledger.entry(line.block)
        if group and view.ledger.entry(group[0].block) is not entry:
            _behind(view, painter, group)
            group = []
        if entry is not None:
            group.append(line)
    if group:
        _behind(view, painter, group)


def _behind(view: TranscriptView, painter: QPainter, group: list[Line]) -> None:
    entry = view.ledger.entry(group[0].block)
    if entry is None:
        return
    top, bottom = group[0].rect.top(), group[-1].rect.bottom()
    if entry.kind is EntryKind.COMMAND:
        # A card that goes on beyond the viewport has no round corners there.
        top -= 6 if view.ledger.starts(group[0].block) else 40
        bottom += 6 if view.ledger.entry(_next_visible(group[-1].block)) is not entry else 40
        _card(view, painter, QRectF(1, top, view.viewport().width() - 2, bottom - top), entry)
    elif entry.kind is EntryKind.TURN and view.ledger.starts(group[0].block):
        y = int(top) - 7
        painter.fillRect(1, y, view.viewport().width() - 2, 1, view.theme.color("border"))
    elif entry.folds and not entry.folded:
        bodies = [line.rect for line in group if view.ledger.role(line.block) is Role.BODY]
        if bodies:
            height = int(bodies[-1].bottom() - bodies[0].top())
            painter.fillRect(3, int(bodies[0].top()), 2, height, view.theme.color("strong_border"))


def _next_visible(block: QTextBlock) -> QTextBlock:
    block = block.next()
    while block.isValid() and not block.isVisible():
        block = block.next()
    return block


def _card(view: TranscriptView, painter: QPainter, box: QRectF, entry: Entry) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    shape = QPainterPath()
    shape.addRoundedRect(box, _CARD_RADIUS, _CARD_RADIUS)
    painter.fillPath(shape, view.theme.color("sunken"))
    painter.setClipPath(shape)
    painter.fillRect(QRectF(box.x(), box.y(), 3, box.height()), view.look.bar(entry))
    painter.restore()
