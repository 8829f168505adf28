"""Listings: aligned columns that never wrap; the words of a row take what room is left, or go below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from app.cli.output import plain_line

GAP = "  "
MIN_WORDS = 36
"""Columns the words must have beside the others; with less they go below."""

MIN_ROOM = 20
_MARGIN = re.compile(r"(│ )?[ ]*")
_WRAPPER = Console(width=80, soft_wrap=False)


@dataclass(frozen=True, slots=True)
class Column:
    """A column. ``optional`` ones are left out, last first, where the terminal is too narrow for all.

    ``figures`` stand at the right.
    """

    title: str
    optional: bool = False
    figures: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is listed: its cells, its words, and (in a terminal) details below it."""

    cells: Sequence[Text | str]
    words: Text
    details: Sequence[Text] = ()


def listing(
    columns: Sequence[Column], rows: Sequence[Row], *, width: int | None, title: str = "", below: bool = False
) -> Iterator[Text]:
    """The lines of a listing for a terminal of ``width`` columns, or (None) for a file: one line a row, nothing cut.

    ``title`` heads the words. ``below`` puts them on lines of their own whenever this is a terminal.
    """
    if not rows:
        return
    table = [[cell if isinstance(cell, Text) else Text(plain_line(cell)) for cell in row.cells] for row in rows]
    sizes = [max(cell_len(column.title), *(line[i].cell_len for line in table)) for i, column in enumerate(columns)]
    shown = _that_fit(columns, sizes, width)
    widths = [sizes[i] for i in shown]
    room = None if width is None else width - sum(widths) - len(GAP) * len(widths)
    inline = room is None or (not below and room >= MIN_WORDS)
    heads = [Text(columns[i].title, "bold") for i in shown]
    right = [columns[i].figures for i in shown]
    yield _joined(heads, widths, right, Text(title if inline else "", "bold"))
    for line, row in zip(table, rows, strict=True):
        cells = [line[i] for i in shown]
        yield _joined(cells, widths, right, _cut(row.words, room) if inline else Text())
        for text in () if inline else (row.words, *row.details):
            if text.plain:
                yield from wrapped(text, width, indent="  ")


def wrapped(text: Text, width: int | None, *, indent: str = "") -> list[Text]:
    """``text`` as lines of at most ``width`` columns, each indented; what goes on keeps the margin of its line.

    None: lines as they are.
    """
    result = []
    for line in text.split("\n", allow_blank=True):
        parts = [line] if width is None else _folded(line, max(width - cell_len(indent), MIN_ROOM))
        result += [Text(indent) + part for part in parts]
    for line in result:
        line.rstrip()
    return result


def _folded(line: Text, room: int) -> list[Text]:
    if line.cell_len <= room:
        return [line]
    found = _MARGIN.match(line.plain)
    size = found.end() if found and found.end() < room // 2 else 0
    margin, rest = line[:size], line[size:]
    return [margin + part for part in rest.wrap(_WRAPPER, room - size)]


def _that_fit(columns: Sequence[Column], sizes: Sequence[int], width: int | None) -> list[int]:
    shown = list(range(len(columns)))
    for i in reversed(range(len(columns))):
        needed = sum(sizes[j] + len(GAP) for j in shown) - len(GAP)
        if width is not None and needed > width and columns[i].optional:
            shown.remove(i)
    return shown


def _joined(cells: Sequence[Text], widths: Sequence[int], right: Sequence[bool], words: Text) -> Text:
    line = Text()
    for cell, size, at_right in zip(cells, widths, right, strict=True):
        blank = " " * (size - cell.cell_len)
        line.append(blank if at_right else "")
        line.append_text(cell)
        line.append(("" if at_right else blank) + GAP)
    line.append_text(words)
    line.rstrip()
    return line


def _cut(text: Text, room: int | None) -> Text:
    result = text.copy()
    if room is not None:
        result.truncate(room, overflow="ellipsis")
    return result
