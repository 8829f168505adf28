"""How the parts of a transcript look: fonts and colours by kind of entry and role."""

from __future__ import annotations

from PySide6.QtGui import QColor, QFont, QTextCharFormat

from app.ui.console.ansi import Sgr
from app.ui.console.entries import Entry, EntryKind, Progress, Role
from app.ui.theme import Theme
from app.ui.typography import base_font, mono_font, scaled

_GAPS = {EntryKind.TURN: 14, EntryKind.NOTE: 3, EntryKind.TROUBLE: 3, EntryKind.PROMPT: 3, EntryKind.THOUGHT: 6}
_DEFAULT_GAP = 8
_CARD_GAP = 12
_MOST_FORMATS = 2000
"""Output can name sixteen million colours; looks beyond this many are made anew."""

_Key = tuple[EntryKind, Role, Progress | None, Sgr | None]


class Look:
    """Character formats for one palette; made anew when the palette changes."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._made: dict[_Key, QTextCharFormat] = {}
        base, mono = base_font(), mono_font()
        self._text = base
        self._small = scaled(base, 0.92)
        self._title = scaled(base, 1.05, bold=True)
        self._caption = scaled(base, 0.92, bold=True)
        self._mono = mono
        self._command = scaled(mono, 1.0, bold=True)

    def format(self, entry: Entry, role: Role, sgr: Sgr | None = None) -> QTextCharFormat:
        """The format of a piece."""
        key = (entry.kind, role, entry.progress if role is Role.END else None, sgr if role is Role.OUTPUT else None)
        made = self._made.get(key)
        if made is None:
            if len(self._made) >= _MOST_FORMATS:
                self._made.clear()
            made = self._made[key] = self._make(entry, role, sgr)
        return made

    def _make(self, entry: Entry, role: Role, sgr: Sgr | None) -> QTextCharFormat:
        font, color = self._font(entry.kind, role), self._color(entry, role)
        made = QTextCharFormat()
        made.setFont(font)
        made.setForeground(color)
        if sgr is not None and role is Role.OUTPUT:
            self._dress(made, sgr)
        return made

    def gap(self, entry: Entry, above: Entry | None) -> QTextCharFormat:
        """The format of the empty line above an entry: its font makes the height."""
        height = _GAPS.get(entry.kind, _DEFAULT_GAP)
        if EntryKind.COMMAND in (entry.kind, above.kind if above is not None else None):
            # The card behind a command reaches beyond its lines.
            height = max(height, _CARD_GAP)
        made = QTextCharFormat()
        font = QFont(self._text)
        font.setPixelSize(height)
        made.setFont(font)
        return made

    def bar(self, entry: Entry) -> QColor:
        """The colour of the bar beside a command: how it stands."""
        tones = self._theme.tokens
        tone = {Progress.RUNNING: tones.blue, Progress.DONE: tones.green, Progress.FAILED: tones.red}
        return QColor(tone.get(entry.progress, tones.neutral).ink)

    def _font(self, kind: EntryKind, role: Role) -> QFont:
        if kind is EntryKind.COMMAND:
            if role is Role.END:
                return self._small
            return self._command if role is Role.HEAD else self._mono
        if kind is EntryKind.TURN:
            return self._title if role is Role.HEAD else self._small
        if kind in (EntryKind.PROMPT, EntryKind.THOUGHT):
            return self._caption if role is Role.HEAD else self._small
        return self._text if kind is EntryKind.WORDS else self._small

    def _color(self, entry: Entry, role: Role) -> QColor:
        tokens = self._theme.tokens
        if entry.kind is EntryKind.TROUBLE:
            return QColor(tokens.red.ink)
        if entry.kind is EntryKind.COMMAND and role is Role.END:
            return self.bar(entry)
        if role is Role.ASIDE:
            return QColor(tokens.muted)
        loud = entry.kind in (EntryKind.TURN, EntryKind.WORDS, EntryKind.COMMAND)
        return QColor(tokens.text if loud else tokens.muted)

    def _dress(self, made: QTextCharFormat, sgr: Sgr) -> None:
        """Put terminal colours on; an inverse piece swaps them."""
        ink = self._ansi(sgr.ink) or QColor(self._theme.tokens.text)
        ground = self._ansi(sgr.ground)
        if sgr.faint and not sgr.ink:
            ink = QColor(self._theme.tokens.muted)
        if sgr.inverse:
            ink, ground = ground or QColor(self._theme.tokens.sunken), ink
        made.setForeground(ink)
        if ground is not None:
            made.setBackground(ground)
            if not sgr.inverse and not sgr.ink:
                made.setForeground(_readable_on(ground))
        made.setFontWeight(QFont.Weight.Bold if sgr.bold else QFont.Weight.Normal)
        made.setFontItalic(sgr.italic)
        made.setFontUnderline(sgr.underline)

    def _ansi(self, color: int | str) -> QColor | None:
        if isinstance(color, int):
            return QColor(self._theme.tokens.ansi[color % 16])
        return QColor(color) if color else None


def _readable_on(ground: QColor) -> QColor:
    return QColor("#10161b") if ground.lightness() > 127 else QColor("#ffffff")
