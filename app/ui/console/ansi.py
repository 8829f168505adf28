"""Terminal output as plain text with colours: SGR is understood, every other control sequence is taken out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from app.domain.text import printable

_MAX_PENDING = 256
_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]*)m"  # SGR
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC with their text
    r"|\x1b[ -/]*[0-Z\\^-~]"  # two-byte sequences
)
_PARTIAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?\Z")
_SILENT = {ord(char): None for char in "\x00\x07\x0e\x0f\x7f"}
_BACKSPACE = re.compile(r"[^\n\r\b]?\b")


@dataclass(frozen=True, slots=True)
class Sgr:
    """How a piece of output looks. Colours are a palette number, '#rrggbb', or empty for the default."""

    ink: int | str = ""
    ground: int | str = ""
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False


PLAIN = Sgr()


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one look. A leading ``\\r`` says: the line begun before is written over."""

    text: str
    sgr: Sgr = PLAIN


class AnsiParser:
    """Keeps the look, and a sequence cut in two, between pieces of one stream."""

    def __init__(self) -> None:
        self._sgr = PLAIN
        self._pending = ""

    def feed(self, text: str) -> list[Run]:
        """The runs of ``text``; nothing in them can steer a terminal or reorder a line."""
        text = self._pending + text
        self._pending = ""
        cut = _PARTIAL.search(text)
        if cut is not None and len(text) - cut.start() < _MAX_PENDING:
            text, self._pending = text[: cut.start()], text[cut.start() :]
        if text.endswith("\r"):
            text, self._pending = text[:-1], "\r" + self._pending
        runs: list[Run] = []
        place = 0
        for match in _SEQUENCE.finditer(text):
            self._add(runs, text[place : match.start()])
            place = match.end()
            if match.group(1) is not None:
                self._sgr = _apply(self._sgr, match.group(1))
        self._add(runs, text[place:])
        return runs

    def _add(self, runs: list[Run], text: str) -> None:
        for index, part in enumerate(text.replace("\r\n", "\n").split("\r")):
            clean = printable(_BACKSPACE.sub("", part).translate(_SILENT))
            if index > 0:
                runs.append(Run("\r" + clean, self._sgr))
            elif clean:
                runs.append(Run(clean, self._sgr))


def _apply(sgr: Sgr, parameters: str) -> Sgr:
    codes = [int(code) if code.isdigit() else 0 for code in re.split("[;:]", parameters)]
    while codes:
        code = codes.pop(0)
        if code in (38, 48):
            color = _extended(codes)
            sgr = replace(sgr, ink=color) if code == 38 else replace(sgr, ground=color)
        else:
            sgr = _simple(sgr, code)
    return sgr


def _extended(codes: list[int]) -> int | str:
    """The colour after 38 or 48: '5;n' or '2;r;g;b'; what it reads is taken from ``codes``."""
    mode = codes.pop(0) if codes else 0
    if mode == 5 and codes:
        return _indexed(min(codes.pop(0), 255))
    if mode == 2 and len(codes) >= 3:
        red, green, blue = (min(codes.pop(0), 255) for _ in range(3))
        return f"#{red:02x}{green:02x}{blue:02x}"
    return ""


def _indexed(number: int) -> int | str:
    if number < 16:
        return number
    if number >= 232:
        level = 8 + 10 * (number - 232)
        return f"#{level:02x}{level:02x}{level:02x}"
    steps = [0, 95, 135, 175, 215, 255]
    number -= 16
    return f"#{steps[number // 36]:02x}{steps[number // 6 % 6]:02x}{steps[number % 6]:02x}"


def _simple(sgr: Sgr, code: int) -> Sgr:
    match code:
        case 0:
            return PLAIN
        case 1:
            return replace(sgr, bold=True)
        case 2:
            return replace(sgr, faint=True)
        case 3 | 23:
            return replace(sgr, italic=code == 3)
        case 4 | 24:
            return replace(sgr, underline=code == 4)
        case 7 | 27:
            return replace(sgr, inverse=code == 7)
        case 22:
            return replace(sgr, bold=False, faint=False)
        case 39:
            return replace(sgr, ink="")
        case 49:
            return replace(sgr, ground="")
        case _ if 30 <= code <= 37 or 90 <= code <= 97:
            return replace(sgr, ink=code - 30 if code < 90 else code - 82)
        case _ if 40 <= code <= 47 or 100 <= code <= 107:
            return replace(sgr, ground=code - 40 if code < 100 else code - 92)
        case _:
            return sgr
