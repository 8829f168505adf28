"""What is searched for, in words a person types, and what is found. No syntax of the database reaches it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.errors import ActionRefused

Kind = Literal["memory", "message", "transcript", "interrupt"]
KINDS: tuple[Kind, ...] = ("memory", "message", "transcript", "interrupt")

MAX_QUERY_CHARACTERS = 1_000
MAX_TERMS = 32
MAX_HITS = 200
GRAM = 3
"""Characters of a trigram: the shortest text that the index finds within a word."""

_TERM = re.compile(r'(-?)"([^"]*)"?|(\S+)')
_WORD = re.compile(r"\w", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to look for. A phrase is several words in this order; ``prefix``: words that begin so."""

    text: str
    prefix: bool = False
    excluded: bool = False

    @property
    def has_word(self) -> bool:
        """Whether there is a letter or a digit in it: marks alone are no words."""
        return _WORD.search(self.text) is not None


@dataclass(frozen=True, slots=True)
class Query:
    """All terms hold at once. Empty filters let everything through; ``since`` is inclusive, ``until`` is not.

    ``agents`` are pairs of fleet and agent: whose it is, or with whom a message was exchanged. ``substring``: the terms
    are texts that may stand within a word, not words.
    """

    terms: tuple[Term, ...]
    fleet: str = ""
    agents: frozenset[tuple[str, str]] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 20
    substring: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where it stands. ``snippet``: texts, each with whether it is what was looked for.

    ``ref`` is the id of a message or an interrupt, ``line`` (from 1) that of a memory file, ``turn`` an agent's.
    """

    kind: Kind
    fleet: str
    run: str
    agent: str
    at: datetime
    heading: str
    snippet: tuple[tuple[str, bool], ...]
    path: str = ""
    line: int = 0
    turn: int = 0
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, the best first. ``newest_only``: there were so many that only the newest were ranked."""

    hits: tuple[Hit, ...] = ()
    newest_only: bool = False


def parse_terms(text: str) -> tuple[Term, ...]:
    """The terms of a query: ``word``, ``begin*``, ``"a phrase"``, ``-without``.

    Anything else is looked for as it is typed. Raises ActionRefused for one that says nothing, or too much.
    """
    if len(text) > MAX_QUERY_CHARACTERS:
        raise _refused(f"the query has {len(text)} characters, {MAX_QUERY_CHARACTERS} are allowed", "use fewer words")
    if "\x00" in text or any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise _refused("the query is no text", "type letters, digits and marks")
    terms = tuple(_term(found) for found in _TERM.finditer(text))
    terms = tuple(term for term in terms if term.text.strip())
    if not any(not term.excluded for term in terms):
        raise _refused("the query names nothing to look for", 'such as: deploy*, "exact words", -without')
    if len(terms) > MAX_TERMS:
        raise _refused(f"the query has {len(terms)} terms, {MAX_TERMS} are allowed", "use fewer words")
    return terms


def _term(found: re.Match[str]) -> Term:
    minus, phrase, word = found.groups()
    if phrase is not None:
        return Term(phrase, excluded=bool(minus))
    excluded = len(word) > 1 and word.startswith("-") and word[1] not in "-0123456789"
    word = word[1:] if excluded else word
    prefix = len(word) > 1 and word.endswith("*")
    return Term(word.rstrip("*") if prefix else word, prefix, excluded)


def word_expression(terms: tuple[Term, ...]) -> str:
    """The terms as an FTS5 expression of quoted strings (https://www.sqlite.org/fts5.html, section 3); empty for none.

    A quoted string is a phrase whatever stands in it.
    """
    wanted = [_quoted(term) for term in terms if not term.excluded and term.has_word]
    unwanted = [_quoted(term) for term in terms if term.excluded and term.has_word]
    if not wanted:
        return ""
    return f"({' AND '.join(wanted)})" + "".join(f" NOT {item}" for item in unwanted)


def gram_expression(terms: tuple[Term, ...]) -> str:
    """An FTS5 expression that every text with these terms within fulfils; empty when all are shorter than a trigram."""
    grams: dict[str, None] = {}
    for term in terms:
        text = term.text.lower()
        if not term.excluded:
            grams |= dict.fromkeys(text[i : i + GRAM] for i in range(len(text) - GRAM + 1))
    return " AND ".join(_string(gram) for gram in grams)


def _quoted(term: Term) -> str:
    return _string(term.text) + (" *" if term.prefix else "")


def _string(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _refused(words: str, hint: str) -> ActionRefused:
    return ActionRefused(words, operation="search", hint=hint)
