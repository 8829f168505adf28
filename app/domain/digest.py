"""What of a memory goes into the first prompt: what is recent or concerns the agent's task, and where the rest is.

Pure: the same memory gives the same digest, after any restart. Tokens are estimated, four characters for one: no
tokenizer is the same for all models, and the figure only has to bound the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.notes import Section, sections
from app.domain.text import first_line

CHARACTERS_PER_TOKEN = 4
DIGEST_TOKENS = 4_000
"""What a first prompt gives to the memory."""

PAGE_TOKENS = 16_000
"""What one ``memory_read`` gives."""

MIN_TOKENS = 200
_WORTH = 200
"""Characters below which a part of a section says nothing."""

_TITLE = 80
_WORD = re.compile(r"[^\W_]{3,}")
_COMMON = frozenset(
    _WORD.findall(
        "about all and any are been before but can each every for from had has have her his how into its must not "
        "only other our out shall she should such than that the their them then there these they this those use was "
        "were what when where which who whom will with you your"
    )
)


@dataclass(frozen=True, slots=True)
class _Part:
    """A section with its text; ``number`` is its place in the file."""

    number: int
    section: Section
    lines: tuple[str, ...]

    @property
    def title(self) -> str:
        return first_line(self.section.heading, _TITLE) or "(before the first heading)"

    @property
    def head(self) -> str:
        return (
            f"{'#' * self.section.level} {first_line(self.section.heading, _TITLE)}\n\n" if self.section.level else ""
        )


def estimated_tokens(text: str) -> int:
    """How many tokens ``text`` is, about."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def digest(text: str, *, about: str = "", recent: Sequence[str] = (), budget: int = DIGEST_TOKENS) -> str:
    """The memory for a prompt of at most ``budget`` tokens; all of it when it fits.

    ``about``: what the agent has to do, in words. ``recent``: headings it wrote under, the newest first.
    """
    notes, budget = text.strip(), max(budget, MIN_TOKENS)
    if estimated_tokens(notes) <= budget:
        return notes
    parts = _ranked(notes.split("\n"), words_of(about), recent)
    room = budget * CHARACTERS_PER_TOKEN
    intro = (
        f"(About {estimated_tokens(notes)} tokens; of these, what is recent or concerns your task. Read more with "
        "memory_read, condense with memory_replace.)\n\n"
    )
    index_room = room // 4
    shown, left = _chosen(parts, room - len(intro) - index_room)
    return f"{intro}{shown}{_index(left, index_room)}".rstrip()


def words_of(text: str) -> frozenset[str]:
    """The words of ``text`` that say what it is about."""
    return frozenset(_WORD.findall(text.casefold())) - _COMMON


def page(lines: Sequence[str], start: int = 1, budget: int = PAGE_TOKENS) -> tuple[str, int]:
    """Lines from ``start`` (from 1) that fit, at least one, and the number of the line to go on with; 0 at the end."""
    room, end = budget * CHARACTERS_PER_TOKEN, max(start, 1) - 1
    while end < len(lines) and (room > 0 or end < start):
        room -= len(lines[end]) + 1
        if room < 0 and end >= start:
            break
        end += 1
    return "\n".join(lines[max(start, 1) - 1 : end]), end + 1 if end < len(lines) else 0


def headings_index(text: str, room: int = 2_000) -> str:
    """The headings of a memory with their sizes, at most ``room`` characters."""
    return _index(_parts(text.split("\n")), room, "Its headings:").strip()


def _ranked(lines: Sequence[str], about: frozenset[str], recent: Sequence[str]) -> list[_Part]:
    """What is recent, and what shares words with ``about``, first; else what stands further down."""
    made = _parts(lines)
    order = {heading: number for number, heading in reversed(list(enumerate(recent)))}
    shared = {part.number: len(words_of("\n".join((part.title, *part.lines))) & about) for part in made}
    most = max(shared.values(), default=0) or 1

    def worth(part: _Part) -> tuple[float, int]:
        rank = order.get(part.section.heading)
        return (1 / (1 + rank) if rank is not None else 0.0) + shared[part.number] / most, part.number

    return sorted(made, key=worth, reverse=True)


def _parts(lines: Sequence[str]) -> list[_Part]:
    """The sections under which anything stands."""
    made = []
    for number, item in enumerate(sections(lines)):
        body = "\n".join(lines[item.start + bool(item.level) : item.end]).strip("\n")
        if body.strip():
            made.append(_Part(number, item, tuple(body.split("\n"))))
    return made


def _chosen(parts: Sequence[_Part], room: int) -> tuple[str, list[_Part]]:
    """As many parts as there is room for, whole or their last lines; and those that are not in it whole."""
    shown, left = "", []
    for part in parts:
        if _too_long(part, room):
            left.append(part)
            text = _end_of(part, room)
        else:
            text = part.head + "\n".join(part.lines) + "\n\n"
        shown, room = shown + text, room - len(text)
    return shown, left


def _too_long(part: _Part, room: int) -> bool:
    return len(part.head) + sum(len(line) + 1 for line in part.lines) + 1 > room


def _end_of(part: _Part, room: int) -> str:
    """The heading and the last lines, as notes are added at the end; nothing when that is not worth it."""
    room -= len(part.head) + len(_LEFT_OUT.format(len(part.lines))) + 3
    kept: list[str] = []
    for line in reversed(part.lines):
        if len(line) + 1 > room:
            break
        kept.insert(0, line)
        room -= len(line) + 1
    text = "\n".join(kept)
    if len(text) < _WORTH:
        return ""
    return f"{part.head}{_LEFT_OUT.format(len(part.lines) - len(kept))}\n{text}\n\n"


_LEFT_OUT = "(the first {} lines are left out)"


def _index(left: Sequence[_Part], room: int, title: str = "Not here, or not whole:") -> str:
    if not left:
        return ""
    text, more = f"{title}\n\n", len(left)
    for part in sorted(left, key=lambda part: part.number):
        line = f"- {part.title} ({len(part.lines)} lines)\n"
        if len(text) + len(line) + 30 > room:
            break
        text, more = text + line, more - 1
    return text + (f"- and {more} more" if more else "")
