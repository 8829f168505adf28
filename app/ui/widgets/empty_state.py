"""What a page shows when there is nothing yet: why, and what comes next."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.labels import label

_WIDTH = 52 * SPACE


class EmptyState(QWidget):
    """A drawing, a sentence, and a hint, in the middle of the page."""

    def __init__(self, theme: Theme, drawing: str, title: str, hint: str) -> None:
        super().__init__()
        self._theme = theme
        self._drawing = drawing
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._title = label(title, scale=1.2, bold=True)
        self._hint = label(hint, tone="muted", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * SPACE, 3 * SPACE, 3 * SPACE, 3 * SPACE)
        layout.setSpacing(SPACE)
        layout.addStretch(2)
        for part in (self._picture, self._title, self._hint):
            layout.addWidget(part, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._hint.setFixedWidth(_WIDTH)
        self.say(title, hint)
        theme.changed.connect(self._tint)
        self._tint()

    def say(self, title: str, hint: str) -> None:
        """Change the words."""
        self._title.setText(title)
        self._hint.setText(hint)
        # A wrapped label in the middle of a layout does not get the height it needs by itself.
        self._hint.setFixedHeight(max(0, self._hint.heightForWidth(_WIDTH)))

    @property
    def title(self) -> str:
        """What it says, in one line."""
        return self._title.text()

    def _tint(self) -> None:
        ratio = self.devicePixelRatioF()
        self._picture.setPixmap(self._theme.picture(self._drawing, self._theme.color("strong_border"), 48, ratio))
