"""Own icons: one-colour SVG drawings, tinted to the palette."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

_INK = b"#000"


def application_icon(folder: Path) -> QIcon:
    """Skerry's mark, in its own colours."""
    return QIcon(str(folder / "skerry.svg"))


def tinted(drawing_file: Path, color: QColor, size: int = 20, ratio: float = 1.0) -> QPixmap:
    """A drawing in one colour, ``size`` logical pixels wide."""
    drawing = drawing_file.read_bytes().replace(_INK, color.name().encode())
    pixmap = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(drawing)).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap
