"""Buttons in the few kinds the style sheet knows."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QPushButton

from app.ui.theme import Theme


def button(text: str, name: str, *, kind: str = "", tip: str = "") -> QPushButton:
    """A button with its stable object name.

    ``kind`` is primary, danger, quiet, link, option, segment, menu or nav, or empty for plain.
    """
    made = QPushButton(text)
    made.setObjectName(name)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    if kind:
        made.setProperty("kind", kind)
    if tip:
        made.setToolTip(tip)
    return made


def menu_button(text: str, name: str, theme: Theme, *, key: str, tip: str) -> QPushButton:
    """A button that opens a menu, and shows it by its arrow; ``key`` opens it as well."""
    made = button(text, name, kind="menu", tip=f"{tip} ({key})")
    made.setShortcut(QKeySequence(key))
    give_icon(made, theme, "chevron-down", size=14)
    made.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    return made


def give_icon(made: QPushButton, theme: Theme, drawing: str, token: str = "muted", size: int = 16) -> None:
    """Put an icon on a button, tinted anew whenever the palette changes."""

    def tint() -> None:
        made.setIcon(theme.icon(drawing, token))

    made.setIconSize(QSize(size, size))
    tint()
    theme.changed.connect(tint)
