"""Memory files as agents keep them, made up: the same for the same seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.store.search_index import Source

FLEET = "bench"
_WORDS = 30_000
_LINE_WORDS = 8
_SECTION_LINES = 20
_SYLLABLES = "ba co di fu ge ha ki lo mu ne pa qui ra so ti vu we xa yo zi bre cla dro fle gri ple sta tro"


@dataclass(frozen=True, slots=True)
class Search:
    """One search: ``text`` as a person types it, and the arguments with which ripgrep looks for the same."""

    title: str
    text: str
    ripgrep: tuple[str, ...]
    substring: bool = False
    agent: str = ""


class Corpus:
    """``lines`` lines in the files of ``agents`` agents. Words are as unevenly frequent as a language's (Zipf)."""

    def __init__(self, folder: Path, *, lines: int, agents: int, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._lines = max(_SECTION_LINES, lines // agents)
        self._words = _vocabulary(self._random)
        self._weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(_WORDS)))
        self.sources = [
            Source(FLEET, f"agent-{number}", folder / "agents" / f"agent-{number}" / "memory.md")
            for number in range(1, agents + 1)
        ]
        self.folder = folder
        self.bytes = 0

    @property
    def lines(self) -> int:
        """Lines of all files together."""
        return self._lines * len(self.sources)

    def write(self) -> None:
        """Write the files."""
        for source in self.sources:
            source.path.parent.mkdir(parents=True, exist_ok=True)
            text = "\n".join(self._file()) + "\n"
            source.path.write_text(text)
            self.bytes += len(text)

    def note(self) -> str:
        """One more line."""
        return " ".join(self._some(_LINE_WORDS))

    def searches(self, count: int) -> list[Search]:
        """``count`` searches of each of eight sorts, every one for something else."""
        return [search for _ in range(count) for search in self._one_of_each()]

    def _file(self) -> Iterator[str]:
        words = self._some(self._lines * _LINE_WORDS)
        for number in range(self._lines):
            line = words[number * _LINE_WORDS : (number + 1) * _LINE_WORDS]
            if number % _SECTION_LINES == 0:
                yield f"## {line[0].capitalize()} {line[1]}"
            elif number % _SECTION_LINES == 7:
                yield f"- `{line[0]}_{line[1]}({line[2].capitalize()}.{line[3]})` {' '.join(line[4:])}"
            else:
                yield " ".join(line)

    def _some(self, count: int) -> list[str]:
        return self._random.choices(self._words, cum_weights=self._weights, k=count)

    def _one_of_each(self) -> Iterator[Search]:
        often, also = self._at(0, 50), self._at(50, 500)
        middle, rare, code = self._at(500, 5_000), self._at(5_000, _WORDS), self._at(50, 2_000)
        agent = self._random.choice(self.sources).agent
        yield Search("a frequent word", often, _word(often))
        yield Search("a rare word", rare, _word(rare))
        # ripgrep has no "both in any order" but this; in one line, where the index looks in one section.
        yield Search("two words", f"{also} {middle}", ("-w", "-e", f"{also}.*{middle}", "-e", f"{middle}.*{also}"))
        phrase = f"{often} {also}"
        yield Search("a phrase", f'"{phrase}"', _word(phrase))
        yield Search("the beginning of a word", f"{middle[:4]}*", ("-e", rf"\b{middle[:4]}"))
        yield Search("a text within words", f"{code}(", ("-F", "-e", f"{code}("), substring=True)
        yield Search("a word, of one agent", also, _word(also), agent=agent)
        yield Search("what is nowhere", f"{rare}zqzq", ("-F", "-e", f"{rare}zqzq"))

    def _at(self, first: int, end: int) -> str:
        return self._words[self._random.randrange(first, end)]


def _word(text: str) -> tuple[str, ...]:
    return "-F", "-w", "-e", text


def _vocabulary(source: random.Random) -> Sequence[str]:
    found: dict[str, None] = {}
    while len(found) < _WORDS:
        found["".join(source.choices(_SYLLABLES.split(), k=source.randint(2, 4)))] = None
    return list(found)
