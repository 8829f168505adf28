"""A memory file as text: exact bytes to lines and back, and what stands under a heading.

Headings are those of CommonMark (ATX, section 4.2); a ``#`` within a fenced block (section 4.5) is none. Unlike there,
a fence that is never closed hides nothing: else one stray mark would take every later heading away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.errors import ActionRefused

_BOM = "\ufeff"
_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:[ \t](.*))?$")
_FENCE = re.compile(r"^ {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*(.*)$")


@dataclass(frozen=True, slots=True)
class Notes:
    """The lines of a file, without their ends. ``dump`` gives the very bytes that ``parse`` was given."""

    lines: tuple[str, ...] = ()
    eol: str = "\n"
    bom: bool = False
    ended: bool = True
    """Whether the last line has an end; of no lines, as if it had."""

    @classmethod
    def parse(cls, data: bytes) -> Notes:
        """The notes in ``data``. Bytes that are not UTF-8 are carried along."""
        text = data.decode("utf-8", errors="surrogateescape")
        bom = text.startswith(_BOM)
        text = text.removeprefix(_BOM)
        eol = "\r\n" if "\n" in text and text.count("\r\n") == text.count("\n") else "\n"
        ended = not text or text.endswith(eol)
        lines = text.removesuffix(eol).split(eol) if text else []
        return cls(tuple(lines), eol, bom, ended)

    def dump(self) -> bytes:
        """The bytes of the file."""
        text = self.eol.join(self.lines) + (self.eol if self.ended and self.lines else "")
        return ((_BOM if self.bom else "") + text).encode("utf-8", errors="surrogateescape")

    def with_lines(self, lines: Sequence[str]) -> Notes:
        """Other lines in the same manner of writing."""
        return replace(self, lines=tuple(lines), ended=True)


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under a heading, up to the next one: lines ``start`` (the heading's own) to ``end``, exclusive.

    ``level`` is 0 and ``heading`` empty for what stands before the first heading.
    """

    heading: str
    level: int
    start: int
    end: int


def readable(data: bytes) -> str:
    """The text of a file for an agent: plain line ends, and U+FFFD for what is not UTF-8."""
    return data.decode("utf-8", errors="replace").removeprefix(_BOM).replace("\r\n", "\n")


def sections(lines: Sequence[str]) -> list[Section]:
    """All sections, in order; the first begins at line 0 and is left out when it is empty."""
    hidden = _fenced(lines)
    starts = [(0, "", 0)]
    for number, line in enumerate(lines):
        found = None if number in hidden else _HEADING.match(line.rstrip("\r"))
        if found is not None:
            starts.append((number, _without_closing(found[2] or ""), len(found[1])))
    ends = [start for start, _, _ in starts[1:]] + [len(lines)]
    made = [Section(name, level, start, end) for (start, name, level), end in zip(starts, ends, strict=True)]
    return made if made[0].end > made[0].start else made[1:]


def heading_name(text: str) -> str:
    """The name in a heading that an agent gave, with or without its marks. Raises ActionRefused for none."""
    name = text.strip().lstrip("#").strip()
    if not name or "\n" in name:
        raise ActionRefused("a heading is one line of text", operation="write memory", hint="such as 'Decisions'")
    return _without_closing(name) or name


def find_section(lines: Sequence[str], heading: str) -> Section | None:
    """The first section of that name; else the first whose name differs in case only."""
    named = [section for section in sections(lines) if section.level]
    exact = [section for section in named if section.heading == heading]
    alike = [section for section in named if section.heading.casefold() == heading.casefold()]
    return next(iter(exact or alike), None)


def section_lines(lines: Sequence[str], heading: str) -> list[str]:
    """A heading with all that belongs to it; nothing when there is none."""
    found = find_section(lines, heading)
    return [] if found is None else list(lines[found.start : _end_of_all(lines, found)])


def append_note(lines: Sequence[str], heading: str, text: str) -> list[str]:
    """``lines`` with ``text`` at the end of what stands under ``heading``, which is made at the end when missing."""
    new = text.strip("\n").split("\n")
    found = find_section(lines, heading)
    if found is None:
        return _with_section(lines, heading, new)
    last = _last_said(lines, found.start, found.end)
    before = [] if last > found.start else [""]
    after = [""] if last + 1 < len(lines) and lines[last + 1].strip() else []
    return [*lines[: last + 1], *before, *new, *after, *lines[last + 1 :]]


def replace_section(lines: Sequence[str], heading: str, text: str) -> list[str]:
    """``lines`` with ``text`` instead of all under ``heading``; empty text takes the heading away too.

    Deeper headings belong to it, except to a title (level 1): all of the file would.
    """
    new = text.strip("\n").split("\n") if text.strip() else []
    found = find_section(lines, heading)
    if found is None:
        return _with_section(lines, heading, new) if new else list(lines)
    end = _end_of_all(lines, found)
    body = [lines[found.start], "", *new] if new else []
    rest = [""] if new and end < len(lines) else []
    return [*lines[: found.start], *body, *rest, *lines[end:]]


def has_open_fence(text: str) -> bool:
    """Whether a fenced block in ``text`` is not closed."""
    return _open_fence(text.split("\n")) is not None


def _without_closing(text: str) -> str:
    """The text of a heading: marks at its end go when a blank stands before them (so ``C#`` stays)."""
    text = text.strip()
    bare = text.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else text


def _with_section(lines: Sequence[str], heading: str, new: list[str]) -> list[str]:
    kept = list(lines[: _last_said(lines, -1, len(lines)) + 1])
    return [*kept, *([""] if kept else []), f"## {heading}", "", *new]


def _last_said(lines: Sequence[str], start: int, end: int) -> int:
    """The last line of a part that is not blank; its first line is taken as said."""
    return next((number for number in range(end - 1, start, -1) if lines[number].strip()), start)


def _end_of_all(lines: Sequence[str], section: Section) -> int:
    if section.level == 1:
        return section.end
    later = (other for other in sections(lines) if other.start > section.start and other.level <= section.level)
    return next((other.start for other in later), len(lines))


def _fenced(lines: Sequence[str]) -> set[int]:
    """Numbers of the lines in fenced blocks that are closed."""
    hidden: set[int] = set()
    number, never_closed = 0, set[tuple[str, int]]()
    while number < len(lines):
        mark = _opening(lines[number])
        # A fence without an end is looked for once only: a file of nothing else would take for ever.
        end = None if mark is None or mark in never_closed else _closing(lines, number + 1, mark)
        if mark is not None and end is None:
            never_closed.add(mark)
        if end is not None:
            hidden.update(range(number, end + 1))
            number = end
        number += 1
    return hidden


def _open_fence(lines: Sequence[str]) -> int | None:
    number = 0
    while number < len(lines):
        mark = _opening(lines[number])
        if mark is not None:
            end = _closing(lines, number + 1, mark)
            if end is None:
                return number
            number = end
        number += 1
    return None


def _opening(line: str) -> tuple[str, int] | None:
    found = _FENCE.match(line.rstrip("\r"))
    return None if found is None else (found[1][0], len(found[1]))


def _closing(lines: Sequence[str], start: int, mark: tuple[str, int]) -> int | None:
    for number in range(start, len(lines)):
        found = _FENCE.match(lines[number].rstrip("\r"))
        if found is not None and found[1][0] == mark[0] and len(found[1]) >= mark[1] and not found[2].strip():
            return number
    return None
