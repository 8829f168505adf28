"""Patterns of rules.md beside commands and paths: does one fit, could it fit, or can it not?

Commands hold ``UNKNOWN`` where only the running shell knows what stands there; hence the answer in between.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from app.domain.shell.words import HOME, UNKNOWN
from app.domain.shell.wrappers import program

WORKSPACE: Final = "/workspace"
_LONGEST_PATH: Final = 4096
_SYSTEM: Final = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
_LONG_FLAGS: Final = {
    "--recursive": "r",
    "--force": "f",
    "--verbose": "v",
    "--all": "a",
    "--delete": "d",
    "--interactive": "i",
}
_GLOBAL_VALUED: Final = {"git": ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env")}
"""Options before the subcommand that take the next word."""


class Fit(IntEnum):
    """Whether a pattern fits."""

    NO = 0
    PERHAPS = 1
    YES = 2


def fits_text(pattern: str, text: str) -> Fit:
    """Whether ``pattern`` fits the whole of ``text``; ``*`` stands for anything, ``?`` for one character.

    A backslash before one of them takes its meaning away. It takes time in proportion to both, whatever they hold.
    """
    if _meet(_parts(pattern), text, known=True):
        return Fit.YES
    return Fit.PERHAPS if UNKNOWN in text and _meet(_parts(pattern), text) else Fit.NO


def allows(pattern: str, words: Sequence[str]) -> bool:
    """Whether a pattern of what is allowed fits one simple command: word by word, a lone ``*`` stands for any words.

    A program with a path fits by its name only from a folder of the system.
    """
    folder, _, name = words[0].rpartition("/")
    there = [name if folder in _SYSTEM else words[0], *words[1:]]
    return _in_order(pattern.split(), there) is Fit.YES


def catches(pattern: str, words: Sequence[str], folder: str | None = WORKSPACE) -> Fit:
    """Whether a pattern of what is asked about or denied fits one simple command that runs in ``folder``, if known.

    More words may follow, options may stand anywhere and be written otherwise, the program may be named by any path.
    """
    wanted, there = pattern.split(), [program(words[0]), *words[1:]]
    wanted = [program(wanted[0]), *wanted[1:]]
    return max(_in_order([*wanted, "*"], there), _any_way(wanted, there, folder))


def fits_path(pattern: str, path: str) -> Fit:
    """Whether a pattern of files fits an absolute path: ``**`` stands for any folders, ``*`` for a part of one name.

    A pattern that ends in ``/**`` fits the folder itself, too.
    """
    pattern = absolute(pattern)
    if len(path) > _LONGEST_PATH:
        return Fit.NO  # the system takes none that is longer
    if UNKNOWN not in path:
        return Fit.YES if _path_regex(pattern).fullmatch(path) else Fit.NO
    if _path_regex(pattern).fullmatch(path):
        return Fit.YES
    loose = tuple(_meta(pattern.removesuffix("/**")) + ([None] if pattern.endswith("/**") else []))
    return Fit.PERHAPS if _meet(loose, path) else Fit.NO


def holds(path: str, pattern: str) -> bool:
    """Whether what a pattern of files fits may lie below the folder ``path``."""
    fixed = re.split(r"[*?]", absolute(pattern), maxsplit=1)[0]
    return path == "/" or fixed.startswith(f"{path}/") or fixed.rstrip("/") == path


def absolute(path: str, folder: str = WORKSPACE) -> str:
    """A path without ``.``, ``..`` and doubled slashes; links are not followed, as nobody can know them here."""
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return "/" + posixpath.normpath(posixpath.join(folder, path)).lstrip("/")


def _in_order(wanted: Sequence[str], there: Sequence[str]) -> Fit:
    """Word by word; a lone ``*`` takes any number of words."""
    end = len(there)
    below = [Fit.NO] * end + [Fit.YES]  # the row of the patterns behind this one, by place
    for pattern in reversed(wanted):
        row = [Fit.NO] * (end + 1)
        row[end] = below[end] if pattern == "*" else Fit.NO
        for place in range(end - 1, -1, -1):
            if pattern == "*":
                row[place] = max(below[place], row[place + 1])
            elif there[place] == UNKNOWN:  # it may be no word, one or several
                row[place] = min(Fit.PERHAPS, max(below[place + 1], below[place], row[place + 1]))
            elif below[place + 1]:
                row[place] = min(fits_text(pattern, there[place]), below[place + 1])
        below = row
    return below[0]


def _any_way(wanted: Sequence[str], there: Sequence[str], folder: str | None) -> Fit:
    """Options in any order and writing; other words in their order, with others between where they are paths."""
    flags, words = _parted(wanted)
    given, others = _parted(there)
    if any(UNKNOWN in word for word in given if word.startswith("--")) and flags:
        known = Fit.PERHAPS
    else:
        known = Fit.YES if _letters(flags) <= _letters(given) and _longs(flags) <= _longs(given) else Fit.NO
    if known is Fit.NO and any(UNKNOWN in word for word in others[1:]):
        known = Fit.PERHAPS
    return min(known, _spaced(words, others, folder)) if known and words else Fit.NO


def _spaced(wanted: Sequence[str], there: Sequence[str], folder: str | None) -> Fit:
    end = len(there)
    below = [Fit.YES] * (end + 1)
    for at in range(len(wanted) - 1, -1, -1):
        if wanted[at] == "*":
            continue
        row = [Fit.NO] * (end + 1)
        for place in range(end - 1, -1, -1):
            if below[place + 1]:
                row[place] = min(_here(wanted[at], there[place], folder, first=at == 0), below[place + 1])
            if there[place] == UNKNOWN:
                row[place] = max(row[place], min(Fit.PERHAPS, below[place]))
            if at and _is_path(wanted[at]):
                row[place] = max(row[place], row[place + 1])
        below = row
    return below[0]


def _here(pattern: str, word: str, folder: str | None, *, first: bool) -> Fit:
    return max(fits_text(pattern, word), Fit.NO if first else _same_place(pattern, word, folder))


def _same_place(pattern: str, word: str, folder: str | None) -> Fit:
    """Paths that are written otherwise and lead to the same place. Within the workspace a relative path is its own."""
    if not pattern.startswith(("/", "~")) or not word or word == UNKNOWN:
        return Fit.NO
    known = word.startswith(("/", "~")) or folder is not None
    path = absolute(word, folder or "/")
    if not known or UNKNOWN in word:
        return Fit.PERHAPS if fits_text(_absolute_pattern(pattern), path) else Fit.NO
    if not word.startswith(("/", "~")) and (path == WORKSPACE or path.startswith(f"{WORKSPACE}/")):
        return Fit.NO
    return fits_text(_absolute_pattern(pattern), path)


def _absolute_pattern(pattern: str) -> str:
    return absolute(pattern) if pattern != "/*" else pattern


def _is_path(word: str) -> bool:
    return "/" in word or word.startswith(("~", ".")) or "*" in word


def _parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options and other words; those before a subcommand are left out."""
    flags: list[str] = []
    others = [*words[:1]]
    rest = list(words[1:])
    valued = _GLOBAL_VALUED.get(words[0], ()) if words else ()
    while rest and valued and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in valued else rest[1:]
    for at, word in enumerate(rest):
        if word == "--":
            others += rest[at + 1 :]
            break
        (flags if word.startswith("-") and word != "-" else others).append(word)
    return flags, others


def _letters(flags: Sequence[str]) -> set[str]:
    short = {letter.replace("R", "r") for flag in flags if not flag.startswith("--") for letter in flag[1:]}
    return short | {_LONG_FLAGS[flag] for flag in flags if flag in _LONG_FLAGS}


def _longs(flags: Sequence[str]) -> set[str]:
    return {flag.partition("=")[0] for flag in flags if flag.startswith("--") and flag not in _LONG_FLAGS} - {"--*"}


@functools.lru_cache(maxsize=2000)
def _path_regex(pattern: str) -> re.Pattern[str]:
    text = ""
    for piece in re.split(r"(/\*\*/|/\*\*$|\*\*|\*|\?)", pattern):
        text += {"/**/": "/(?:.*/)?", "/**": "(?:/.*)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(
            piece, re.escape(piece)
        )
    return re.compile(text, re.S)


def _meta(pattern: str) -> list[str | None]:
    r"""The signs of a pattern: None for ``*``, ``?`` for one character, an escaped one with its backslash."""
    signs: list[str | None] = []
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\" and pattern[at + 1 : at + 2] in ("*", "?", "\\"):
            signs.append("\\" + pattern[at + 1])
            at += 2
            continue
        signs.append(None if sign == "*" else sign)
        at += 1
    return signs


@functools.lru_cache(maxsize=2000)
def _parts(pattern: str) -> tuple[str | None, ...]:
    return tuple(_meta(pattern))


def _meet(pattern: tuple[str | None, ...], text: str, *, known: bool = False) -> bool:
    """Whether some text fits both: None stands for anything, and ``UNKNOWN`` does unless it is taken as ``known``."""
    reached = {0}
    for sign in (*text, ""):
        if not reached:
            return False
        stars = set(reached)
        for begin in sorted(reached):
            at = begin
            while at < len(pattern) and pattern[at] is None:
                at += 1
                stars.add(at)
        if not sign:
            return len(pattern) in stars
        if sign == UNKNOWN and not known:
            reached = set(range(min(stars), len(pattern) + 1))
            continue
        reached = {at for at in stars if at < len(pattern) and pattern[at] is None}
        reached |= {at + 1 for at in stars if at < len(pattern) and _one(pattern[at], sign)}
    return False


def _one(wanted: str | None, sign: str) -> bool:
    return wanted is not None and (wanted == "?" or wanted.removeprefix("\\") == sign or wanted == sign)
