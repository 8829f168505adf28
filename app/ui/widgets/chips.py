"""A state as a rounded chip with a dot: painted in cells, and as a widget."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.ui.tokens import Tone

HEIGHT = 22
_PADDING = 8
_DOT = 7


def chip_width(font: QFont, text: str, *, dot: bool = True) -> int:
    """Pixels a chip with ``text`` takes."""
    return QFontMetrics(font).horizontalAdvance(text) + 2 * _PADDING + (_DOT + 6 if dot else 0)


def paint_chip(painter: QPainter, place: QRect, text: str, tone: Tone, *, dot: bool = True) -> int:
    """Paint a chip at the left of ``place``, in its middle; the text is elided to fit. Returns its width."""
    width = min(chip_width(painter.font(), text, dot=dot), place.width())
    box = QRectF(place.x(), place.center().y() - HEIGHT / 2 + 1, width, HEIGHT)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(tone.ground))
    painter.drawRoundedRect(box, HEIGHT / 2, HEIGHT / 2)
    painter.setBrush(QColor(tone.ink))
    inner = box.adjusted(_PADDING, 0, -_PADDING, 0)
    if dot:
        painter.drawEllipse(QPointF(inner.x() + _DOT / 2, box.center().y()), _DOT / 2, _DOT / 2)
        inner.adjust(_DOT + 6, 0, 0, 0)
    painter.setPen(QColor(tone.ink))
    # One pixel of grace: the width is rounded, and eliding a text that just fits looks broken.
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(inner.width()) + 1)
    painter.drawText(inner.adjusted(0, 0, 2, 0), int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), shown)
    painter.restore()
    return width


def paint_dot(painter: QPainter, center: QPointF, color: QColor, diameter: float = 8) -> None:
    """Paint a state's dot."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawEllipse(center, diameter / 2, diameter / 2)
    painter.restore()


class Chip(QWidget):
    """A chip as a widget. Its text is its accessible name."""

    def __init__(self, parent: QWidget | None = None, *, dot: bool = True) -> None:
        super().__init__(parent)
        self._text = ""
        self._tone = Tone("#000000", "#ffffff")
        self._dot = dot
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    @property
    def text(self) -> str:
        """What it says."""
        return self._text

    def show_state(self, text: str, tone: Tone) -> None:
        """Say ``text`` in the hue of ``tone``."""
        if (text, tone) != (self._text, self._tone):
            self._text, self._tone = text, tone
            self.setAccessibleName(text)
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        """As wide as its text."""
        return QSize(chip_width(self.font(), self._text, dot=self._dot) + 1, HEIGHT + 2)

    def minimumSizeHint(self) -> QSize:
        """As wide as its text."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the chip."""
        painter = QPainter(self)
        painter.setFont(self.font())
        paint_chip(painter, self.rect(), self._text, self._tone, dot=self._dot)
        painter.end()
