"""Terminal output as plain text with colours: SGR is understood, every other control sequence is taken out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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
_BACKSPACE = re.compile(r"[^\n\r\x08]?\x08")


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
_CHANGES: Mapping[int, Mapping[str, Any]] = {
    0: {"ink": "", "ground": "", "bold": False, "faint": False, "italic": False, "underline": False, "inverse": False},
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
    39: {"ink": ""},
    49: {"ground": ""},
}


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one look. A leading carriage return says: the line begun before is written over."""

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
    if code in _CHANGES:
        return replace(sgr, **_CHANGES[code])
    for first, change in ((30, "ink"), (40, "ground"), (90, "ink"), (100, "ground")):
        if first <= code <= first + 7:
            return _colored(sgr, change, code - first + (8 if first >= 90 else 0))
    return sgr


def _colored(sgr: Sgr, what: str, number: int) -> Sgr:
    return replace(sgr, ink=number) if what == "ink" else replace(sgr, ground=number)
