"""Own icons: one-colour SVG drawings, tinted to the palette."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

ICONS = Path(__file__).resolve().parents[2] / "resources" / "icons"
_INK = b"#000"


def application_icon() -> QIcon:
    """Skerry's mark, in its own colours."""
    return QIcon(str(ICONS / "skerry.svg"))


def tinted(name: str, color: QColor, size: int = 20, ratio: float = 1.0) -> QPixmap:
    """The drawing ``name`` in one colour, ``size`` logical pixels wide."""
    drawing = (ICONS / f"{name}.svg").read_bytes().replace(_INK, color.name().encode())
    pixmap = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(drawing)).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap


def icon(name: str, color: QColor, disabled: QColor | None = None) -> QIcon:
    """A button's icon, sharp up to twice the size."""
    result = QIcon(tinted(name, color, ratio=2.0))
    if disabled is not None:
        result.addPixmap(tinted(name, disabled, ratio=2.0), QIcon.Mode.Disabled)
    return result
