"""Fonts of the system, with sensible sizes; nothing is bundled."""

from __future__ import annotations

from PySide6.QtGui import QFont, QFontDatabase

SPACE = 8
"""The grid: every distance is a multiple, or half, of this many pixels."""

_SANS = (
    "Inter",
    "Inter Variable",
    "Cantarell",
    "Adwaita Sans",
    "Noto Sans",
    "Ubuntu",
    "Roboto",
    "Open Sans",
    "DejaVu Sans",
)
_MONO = ("JetBrains Mono", "Source Code Pro", "Noto Sans Mono", "Ubuntu Mono", "DejaVu Sans Mono", "Liberation Mono")
_GENERIC = frozenset({"sans serif", "sans", "sans-serif", "monospace", "mono", ""})
_BASE_POINTS = 10.0


def base_font() -> QFont:
    """The text font: the desktop's own when it names one, else the best that is installed."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    if font.family().lower() in _GENERIC:
        font.setFamilies(_installed(_SANS) or [font.family()])
    font.setPointSizeF(max(font.pointSizeF(), _BASE_POINTS))
    return font


def mono_font(scale: float = 0.95) -> QFont:
    """The fixed-width font for commands, output and ids."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    if font.family().lower() in _GENERIC:
        font.setFamilies(_installed(_MONO) or [font.family()])
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setFixedPitch(True)
    font.setPointSizeF(base_font().pointSizeF() * scale)
    return font


def scaled(font: QFont, scale: float, *, bold: bool = False) -> QFont:
    """A copy of ``font``, larger or smaller."""
    copy = QFont(font)
    copy.setPointSizeF(font.pointSizeF() * scale)
    if bold:
        copy.setWeight(QFont.Weight.DemiBold)
    return copy


def _installed(wanted: tuple[str, ...]) -> list[str]:
    there = set(QFontDatabase.families())
    return [family for family in wanted if family in there]
