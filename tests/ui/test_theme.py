"""Two palettes that can be read, chosen by the user or by the system."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from app.config import Paths
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.ui.theme import Theme, ThemeChoice
from app.ui.tokens import DARK, LIGHT, Tokens

PALETTES = pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])


def luminance(color: str) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    shown = QColor(color)
    return 0.2126 * linear(shown.redF()) + 0.7152 * linear(shown.greenF()) + 0.0722 * linear(shown.blueF())


def contrast(ink: str, ground: str) -> float:
    """WCAG's ratio."""
    high, low = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@PALETTES
@pytest.mark.parametrize("ink", ["text", "muted", "faint", "accent", "danger"])
@pytest.mark.parametrize("ground", ["window", "surface", "sunken"])
def test_text_can_be_read(tokens: Tokens, ink: str, ground: str) -> None:
    assert contrast(getattr(tokens, ink), getattr(tokens, ground)) >= 4.5


@PALETTES
def test_states_can_be_read(tokens: Tokens) -> None:
    tones = [tokens.agent(state) for state in AgentStatus] + [tokens.message(state) for state in MessageState]
    assert min(contrast(tone.ink, tone.ground) for tone in tones) >= 4.5
    assert contrast(tokens.on_accent, tokens.accent) >= 4.5
    assert contrast(tokens.text, tokens.selection) >= 4.5


@PALETTES
def test_terminal_colours_can_be_read(tokens: Tokens) -> None:
    assert min(contrast(ink, tokens.sunken) for ink in tokens.ansi) >= 4.5


def test_the_user_chooses(qapp: QApplication, paths: Paths) -> None:
    theme = Theme(qapp, paths.icons)
    changes: list[bool] = []
    theme.changed.connect(lambda: changes.append(theme.dark))
    theme.choose(ThemeChoice.DARK)
    theme.choose(ThemeChoice.DARK)
    assert qapp.palette().color(QPalette.ColorRole.Base) == QColor(DARK.surface)
    theme.choose(ThemeChoice.LIGHT)
    assert qapp.palette().color(QPalette.ColorRole.Base) == QColor(LIGHT.surface)
    assert changes == [True, False]


def test_every_drawing_is_there(qapp: QApplication, paths: Paths) -> None:
    theme = Theme(qapp, paths.icons)
    names = ["dashboard", "messages", "interrupts", "console", "menu", "play", "stop", "compose", "close"]
    for name in [*names, "arrow-down", "external", "hand"]:
        image = theme.picture(name, QColor("#ff0000"), 20, 2.0).toImage()
        assert image.width() == 40
        assert any(image.pixelColor(x, y).red() > 200 for x in range(40) for y in range(40)), name
    assert not theme.mark().isNull()
