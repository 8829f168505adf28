"""The two palettes, and which one is in use: the user's choice, with the system's preference as an input."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import QApplication, QStyleFactory

from app.ui.icons import application_icon, tinted
from app.ui.style import stylesheet
from app.ui.tokens import DARK, LIGHT, Tokens


class ThemeChoice(StrEnum):
    """What the user asked for."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class _Role:
    role: QPalette.ColorRole
    token: str


_ROLES = (
    _Role(QPalette.ColorRole.Window, "window"),
    _Role(QPalette.ColorRole.WindowText, "text"),
    _Role(QPalette.ColorRole.Base, "surface"),
    _Role(QPalette.ColorRole.AlternateBase, "sunken"),
    _Role(QPalette.ColorRole.Text, "text"),
    _Role(QPalette.ColorRole.PlaceholderText, "muted"),
    _Role(QPalette.ColorRole.Button, "raised"),
    _Role(QPalette.ColorRole.ButtonText, "text"),
    _Role(QPalette.ColorRole.BrightText, "danger"),
    _Role(QPalette.ColorRole.Highlight, "selection"),
    _Role(QPalette.ColorRole.HighlightedText, "text"),
    _Role(QPalette.ColorRole.ToolTipBase, "raised"),
    _Role(QPalette.ColorRole.ToolTipText, "text"),
    _Role(QPalette.ColorRole.Link, "accent"),
    _Role(QPalette.ColorRole.Light, "raised"),
    _Role(QPalette.ColorRole.Midlight, "border"),
    _Role(QPalette.ColorRole.Mid, "border"),
    _Role(QPalette.ColorRole.Dark, "strong_border"),
    _Role(QPalette.ColorRole.Shadow, "strong_border"),
    _Role(QPalette.ColorRole.Accent, "accent"),
)


class Theme(QObject):
    """Holds the tokens in use; ``changed`` tells those who paint by hand to paint again."""

    changed = Signal()

    def __init__(self, application: QApplication, icons: Path, choice: ThemeChoice = ThemeChoice.SYSTEM) -> None:
        super().__init__(application)
        self._icons = icons
        self._application = application
        self._choice = choice
        self.tokens: Tokens = LIGHT
        application.setStyle(QStyleFactory.create("Fusion"))
        # setColorScheme does nothing on some platforms, so the scheme is read only, never set (FACTS.md B5).
        application.styleHints().colorSchemeChanged.connect(self._follow_system)
        self._use(self._wanted())

    @property
    def choice(self) -> ThemeChoice:
        """What the user asked for."""
        return self._choice

    @property
    def dark(self) -> bool:
        """Whether the dark palette is in use."""
        return self.tokens is DARK

    def choose(self, choice: ThemeChoice) -> None:
        """Take the user's choice."""
        self._choice = choice
        if self.tokens is not self._wanted():
            self._use(self._wanted())

    def color(self, token: str) -> QColor:
        """The colour of a token, by name."""
        return QColor(getattr(self.tokens, token))

    def icon(self, drawing: str, token: str) -> QIcon:
        """A button's icon in the colour of a token, sharp up to twice its size."""
        file = self._icons / f"{drawing}.svg"
        made = QIcon(tinted(file, self.color(token), ratio=2.0))
        made.addPixmap(tinted(file, self.color("faint"), ratio=2.0), QIcon.Mode.Disabled)
        return made

    def picture(self, drawing: str, color: QColor, size: int, ratio: float) -> QPixmap:
        """A drawing in one colour."""
        return tinted(self._icons / f"{drawing}.svg", color, size, ratio)

    def mark(self) -> QIcon:
        """Skerry's mark, in its own colours."""
        return application_icon(self._icons)

    def _follow_system(self) -> None:
        self.choose(self._choice)

    def _wanted(self) -> Tokens:
        if self._choice is not ThemeChoice.SYSTEM:
            return DARK if self._choice is ThemeChoice.DARK else LIGHT
        return DARK if self._application.styleHints().colorScheme() is Qt.ColorScheme.Dark else LIGHT

    def _use(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._application.setPalette(_palette(tokens))
        self._application.setStyleSheet(stylesheet(tokens))
        self.changed.emit()


def _palette(tokens: Tokens) -> QPalette:
    palette = QPalette()
    for item in _ROLES:
        palette.setColor(item.role, QColor(getattr(tokens, item.token)))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(tokens.faint))
    return palette
