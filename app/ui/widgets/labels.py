"""Labels: elided ones, and shorthands for the text styles in use."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from app.domain.text import printable
from app.ui.typography import scaled


class ElidedLabel(QLabel):
    """One line that ends in an ellipsis when it does not fit; the tool tip has all of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def setText(self, text: str) -> None:
        """Show ``text`` with what could mislead the eye made visible."""
        shown = printable(" ".join(text.split()))
        if shown != self.text():
            super().setText(shown)
            self.setToolTip(plain_tip(shown))

    def minimumSizeHint(self) -> QSize:
        """It can shrink to a few letters."""
        return QSize(self.fontMetrics().horizontalAdvance("mmm…"), super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what fits."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.contentsRect().width())
        painter.drawText(self.contentsRect(), int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
        painter.end()


def label(text: str = "", *, scale: float = 1.0, bold: bool = False, tone: str = "", wrap: bool = False) -> QLabel:
    """A plain-text label; ``tone`` is muted, faint or danger."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    return style_label(made, scale=scale, bold=bold, tone=tone, wrap=wrap)


def style_label(made: QLabel, *, scale: float = 1.0, bold: bool = False, tone: str = "", wrap: bool = False) -> QLabel:
    """Give a label its text style."""
    if scale != 1.0 or bold:
        made.setFont(scaled(made.font(), scale, bold=bold))
    if tone:
        made.setProperty("tone", tone)
    made.setWordWrap(wrap)
    return made


def selectable(made: QLabel) -> QLabel:
    """Let the user mark and copy the text, by mouse and by keyboard."""
    made.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return made


def plain_tip(text: str) -> str:
    """Tool tips guess at rich text; what an agent wrote must never be taken for it."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = escaped.replace("\n", "<br>")
    return f"<qt>{lines}</qt>" if text else ""
