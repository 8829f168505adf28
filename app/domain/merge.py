"""Two who changed the same lines at the same time: what both added stays, what one took away on purpose goes.

Lines are matched as in patience diff: those that stand once on either side, in the longest common order, then their
equal neighbours. That takes n log n steps whatever the lines are, and an agent may write any lines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Lines = Sequence[str]
MARK = "<!-- changed by two at the same time; the agent's lines follow -->"
_DEPTH = 8
_COMPARISONS = 200_000
"""How many pairs of lines are compared before what may be rewritten proves nothing any more."""

_ALIKE = 0.55
"""Of all groups of three signs of two lines, those they share: a line of some words with one mended has more."""

_TELLING = 8
"""Signs that a line must have to tell whose it is: nobody types so many by chance."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Lines that both rewrote: both versions are kept."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """The lines of both, and where they were at odds."""

    lines: tuple[str, ...]
    conflicts: tuple[Conflict, ...] = ()


def merge(base: Lines, ours: Lines, theirs: Lines) -> Merged:
    """Bring together two versions of ``base``: ``ours`` by the agent, ``theirs`` by a person."""
    mine, yours = matches(base, ours), matches(base, theirs)
    lines: list[str] = []
    conflicts: list[Conflict] = []
    b = o = t = 0
    stable = [(i, mine[i], yours[i]) for i in range(len(base)) if i in mine and i in yours]
    for i, j, k in [*stable, (len(base), len(ours), len(theirs))]:
        part = _Part(base[b:i], ours[o:j], theirs[t:k], _within(mine, b, i, o), _within(yours, b, i, t))
        lines += part.merged()
        conflicts += [Conflict(tuple(part.ours), tuple(part.theirs))] if part.at_odds else []
        lines += theirs[k : k + 1]
        b, o, t = i + 1, j + 1, k + 1
    return Merged(tuple(lines), tuple(conflicts))


def seen_revision(known: Sequence[Lines], theirs: Lines) -> int:
    """Which of ``known``, oldest first, a person surely had in the editor to come to ``theirs``.

    The newest of which something new is left in the text, as it was or rewritten; else the first, which is what the
    person saved last. What came after it, the person may never have seen: it is missing, but not taken away. Nobody
    saves an unchanged text, though: who saves one of ``known`` had a later one.
    """
    said, found = _telling(theirs), 0
    lines = [_telling(one) for one in known]
    rewritten = _Rewritten(said.difference(*lines))
    before: set[str] = set()
    for number, telling in enumerate(lines):
        new = telling - before
        is_there = rewritten.is_closest_to(new) or bool(new & said)
        found = number if is_there else found
        before |= new
    unchanged = tuple(theirs) == tuple(known[found])
    return min(found + 1, len(known) - 1) if unchanged else found


def base_of(known: Sequence[Lines], theirs: Lines, *, displaced: bool) -> Lines:
    """What ``theirs`` is to be compared with: which lines of it are missing was decided by the person.

    Among ``known`` as in ``seen_revision``. ``displaced``: the second took the first one's place at once. Then a person
    with the first in the editor and one with the second look alike, and only what both have can have been deleted.
    """
    found = seen_revision(known, theirs)
    if found or not displaced:
        return known[found]
    other, there = set(known[1]), set(theirs)
    return [line for line in known[0] if line in other or line in there]


class _Rewritten:
    """Lines that no version has: each may be a line of one, rewritten. Of that which it is most alike."""

    def __init__(self, lines: set[str]) -> None:
        self._lines = [_threes(line) for line in sorted(lines)]
        self._best = [0.0] * len(self._lines)
        self._left = _COMPARISONS

    def is_closest_to(self, new: set[str]) -> bool:
        """Whether any is more alike to one of ``new`` than to all before, and clearly so."""
        self._left -= len(new) * len(self._lines)
        if self._left < 0 or not new:
            return False
        others, found = [_threes(line) for line in new], False
        for number, own in enumerate(self._lines):
            like = max(len(own & other) / len(own | other) for other in others)
            found = found or (like >= _ALIKE and like > self._best[number])
            self._best[number] = max(like, self._best[number])
        return found


def _threes(line: str) -> set[str]:
    text = line.strip().casefold()
    return {text[i : i + 3] for i in range(len(text) - 2)}


def matches(one: Lines, other: Lines) -> dict[int, int]:
    """Which line of ``one`` is which of ``other``, in the same order on both sides."""
    return dict(_match(one, other, (0, len(one)), (0, len(other)), _DEPTH))


@dataclass(frozen=True, slots=True)
class _Part:
    """What lies between two lines that all three have; ``mine`` and ``yours`` match its base with the sides."""

    base: Lines
    ours: Lines
    theirs: Lines
    mine: dict[int, int]
    yours: dict[int, int]

    @property
    def at_odds(self) -> bool:
        """Both took lines of the base away, to put something else there."""
        if self.ours == self.theirs or len(self.mine) == len(self.base) or len(self.yours) == len(self.base):
            return False
        return any(line.strip() for line in self._added_by_us())

    def merged(self) -> list[str]:
        """Its lines: a person's first, then ours."""
        if self.base in (self.theirs, self.ours):
            return list(self.ours if self.base == self.theirs else self.theirs)
        added = self._added_by_us()
        if self.at_odds:
            return [*self.theirs, *([MARK] if any(line.strip() for line in self.theirs) else []), *added]
        kept_by_us = set(self.mine)
        gone = {k for i, k in self.yours.items() if i not in kept_by_us}
        return [*(line for k, line in enumerate(self.theirs) if k not in gone), *added]

    def _added_by_us(self) -> list[str]:
        """Our lines that are neither the base's nor added by them, too."""
        known, new = set(self.mine.values()), set(self.yours.values())
        same = Counter(line for k, line in enumerate(self.theirs) if k not in new and line.strip())
        added: list[str] = []
        for j, line in enumerate(self.ours):
            if j in known:
                continue
            if same[line]:
                same[line] -= 1
            else:
                added.append(line)
        return added if any(line.strip() for line in added) or not self.theirs else []


def _within(pairs: dict[int, int], start: int, end: int, shift: int) -> dict[int, int]:
    return {i - start: pairs[i] - shift for i in range(start, end) if i in pairs}


def _telling(lines: Lines) -> set[str]:
    """Lines by which one knows a version: no headings, no short ones."""
    return {line for line in lines if len(line.strip()) >= _TELLING and not line.lstrip().startswith("#")}


def _match(
    one: Lines, other: Lines, first: tuple[int, int], second: tuple[int, int], depth: int
) -> Iterator[tuple[int, int]]:
    (a, b), (c, d) = first, second
    while a < b and c < d and one[a] == other[c]:
        yield a, c
        a, c = a + 1, c + 1
    tail: list[tuple[int, int]] = []
    while a < b and c < d and one[b - 1] == other[d - 1]:
        b, d = b - 1, d - 1
        tail.append((b, d))
    if a < b and c < d and depth:
        anchors = _anchors(one, other, (a, b), (c, d))
        for i, k in anchors:
            yield from _match(one, other, (a, i), (c, k), depth - 1)
            yield i, k
            a, c = i + 1, k + 1
        if anchors:
            yield from _match(one, other, (a, b), (c, d), depth - 1)
    yield from reversed(tail)


def _anchors(one: Lines, other: Lines, first: tuple[int, int], second: tuple[int, int]) -> list[tuple[int, int]]:
    """Lines that stand once on either side, in the longest order that both sides have."""
    once, again = _once(one, first), _once(other, second)
    return _longest([(i, again[line]) for line, i in once.items() if line in again])


def _once(lines: Lines, part: tuple[int, int]) -> dict[str, int]:
    counts = Counter(lines[part[0] : part[1]])
    return {lines[i]: i for i in range(*part) if counts[lines[i]] == 1}


def _longest(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of ``pairs``, sorted by the first of each, in which the second rises too (patience sorting)."""
    tops: list[int] = []
    piles: list[int] = []
    before: list[int] = []
    for number, (_, k) in enumerate(pairs):
        pile = bisect_left(tops, k)
        before.append(piles[pile - 1] if pile else -1)
        tops[pile : pile + 1], piles[pile : pile + 1] = [k], [number]
    run: list[tuple[int, int]] = []
    number = piles[-1] if piles else -1
    while number >= 0:
        run.append(pairs[number])
        number = before[number]
    return run[::-1]
