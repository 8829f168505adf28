"""Finding and ranking in the search index.

Words are ranked by BM25, a heading counting as much as four words of the text. A word that stands in very many pieces
says little: only the newest of them are ranked, so that no query takes long.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.domain.search import MAX_HITS, Found, Hit, Query, Term, gram_expression, word_expression
from app.store.search_schema import MARKS, scope_word

RANKED = 1_000
"""Pieces that one query ranks at most: the newest that fit."""
SNIPPET_CHARACTERS = 160
_LEAD = 40

_WEIGHTS = "4.0, 1.0, 0.0"
_FIELDS = "d.id, d.kind, d.fleet, d.run, d.agent, d.at, d.heading, d.place, d.ref, d.body, s.path"
_FROM = "docs d LEFT JOIN sources s ON s.id=d.source"


@dataclass(frozen=True, slots=True)
class _Filter:
    """SQL that holds for the pieces a query may find."""

    where: str
    values: tuple[object, ...]

    @classmethod
    def of(cls, query: Query) -> _Filter:
        parts: list[str] = ["1"]
        values: list[object] = []
        if query.fleet:
            parts.append("d.fleet=?")
            values.append(query.fleet)
        if query.kinds:
            parts.append(f"d.kind IN ({', '.join('?' for _ in query.kinds)})")
            values += sorted(query.kinds)
        if query.agents:
            parts.append("(" + " OR ".join("instr(d.scope, ?)" for _ in query.agents) + ")")
            values += [scope_word(*agent) for agent in sorted(query.agents)]
        for sign, at in ((">=", query.since), ("<", query.until)):
            if at is not None:
                parts.append(f"d.at{sign}?")
                values.append(at.timestamp())
        return cls(" AND ".join(parts), tuple(values))


def find(connection: sqlite3.Connection, query: Query) -> Found:
    """The best hits. By words first; what is still missing by texts within words."""
    limit = max(1, min(query.limit, MAX_HITS))
    narrow = _Filter.of(query)
    expression = "" if query.substring else word_expression(query.terms)
    rows, newest_only = _by_words(connection, expression, query, narrow, limit) if expression else ([], False)
    hits = [_hit(row, row[11]) for row in rows]
    if len(hits) < limit:
        known = {row[0] for row in rows}
        more = _by_text(connection, query.terms, narrow, limit)
        marker = _marker(query.terms)
        hits += [_hit(row, marker(row[9])) for row in more if row[0] not in known]
    return Found(tuple(_once(hits))[:limit], newest_only)


def _once(hits: Iterable[Hit]) -> Iterator[Hit]:
    """A heading that was looked for is that of every piece below it: it is one place."""
    seen: set[tuple[str, int]] = set()
    for hit in hits:
        if not hit.line or (hit.path, hit.line) not in seen:
            yield hit
        seen.add((hit.path, hit.line))


def _by_words(
    connection: sqlite3.Connection, expression: str, query: Query, narrow: _Filter, limit: int
) -> tuple[list[Any], bool]:
    match = f"{{heading body}} : ({expression})" + _scope(query)
    floor = connection.execute(
        "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT 1 OFFSET ?", (match, RANKED)
    ).fetchone()
    least = floor[0] if floor else 0
    # The texts are read only for filters that the index itself does not know.
    joined = " JOIN docs d ON d.id=words.rowid" if query.fleet or query.since or query.until else ""
    where, values = (f" AND {narrow.where}", narrow.values) if joined else ("", ())
    ranked = (
        f"SELECT words.rowid FROM words{joined} WHERE words MATCH ? AND words.rowid>?{where}"  # noqa: S608  # all ours
        f" ORDER BY bm25(words, {_WEIGHTS}), words.rowid DESC LIMIT ?"
    )
    ids = [row[0] for row in connection.execute(ranked, (match, least, *values, limit))]
    return _marked(connection, match, ids), floor is not None


def _marked(connection: sqlite3.Connection, match: str, ids: Sequence[int]) -> list[Any]:
    """The rows of these, in this order, with the body as FTS5 marks it."""
    query = (
        f"SELECT {_FIELDS}, highlight(words, 1, ?, ?) FROM words"  # noqa: S608  # all ours
        f" JOIN docs d ON d.id=words.rowid LEFT JOIN sources s ON s.id=d.source WHERE words MATCH ? AND words.rowid=?"
    )
    return [row for number in ids for row in connection.execute(query, (*MARKS, match, number))]


def _scope(query: Query) -> str:
    parts = []
    if query.agents:
        parts.append(" OR ".join(scope_word(*agent) for agent in sorted(query.agents)))
    if query.kinds:
        parts.append(" OR ".join(f"kind{kind}" for kind in sorted(query.kinds)))
    return "".join(f" AND scope : ({part})" for part in parts)


def _by_text(connection: sqlite3.Connection, terms: Sequence[Term], narrow: _Filter, limit: int) -> list[Any]:
    """The newest with these texts within, however they are divided into words."""
    parts, values = [narrow.where], list(narrow.values)
    for term in terms:
        found = "instr(lower(d.heading || char(10) || d.body), ?)"
        parts.append(f"NOT {found}" if term.excluded else found)
        values.append(term.text.lower())
    grams = gram_expression(tuple(terms))
    where = " AND ".join(parts)
    if grams:
        query = (
            f"SELECT {_FIELDS} FROM grams JOIN docs d ON d.id=grams.rowid LEFT JOIN sources s ON s.id=d.source"  # noqa: S608
            f" WHERE grams MATCH ? AND {where} ORDER BY grams.rowid DESC LIMIT ?"
        )
        return connection.execute(query, (grams, *values, limit)).fetchall()
    query = f"SELECT {_FIELDS} FROM {_FROM} WHERE {where} ORDER BY d.id DESC LIMIT ?"  # noqa: S608  # all of it is ours
    return connection.execute(query, (*values, limit)).fetchall()


def _marker(terms: Iterable[Term]) -> Any:
    texts = sorted((re.escape(term.text) for term in terms if not term.excluded), key=len, reverse=True)
    pattern = re.compile("|".join(texts), re.IGNORECASE)
    return lambda text: pattern.sub(lambda found: f"{MARKS[0]}{found[0]}{MARKS[1]}", text)


def _hit(row: Sequence[Any], body: str) -> Hit:
    _, kind, fleet, run, agent, at, plain_heading, place, ref, _, path = row[:11]
    before = body.find(MARKS[0])
    line = 0
    if kind == "memory":  # without a mark in the text it was the heading that was found; ``ref`` is its line
        line = place + body.count("\n", 0, before) if before >= 0 else int(ref or place)
    return Hit(
        kind=kind,
        fleet=fleet,
        run=run,
        agent=agent,
        at=datetime.fromtimestamp(at, UTC),
        heading=plain_heading,
        snippet=snippet(body, before),
        path=path or "",
        line=line,
        turn=place if kind == "transcript" else 0,
        ref="" if kind == "memory" else ref,
    )


def snippet(marked: str, first: int) -> tuple[tuple[str, bool], ...]:
    """The part of a marked text around its first mark, in one line; each piece with whether it is marked."""
    start = max(0, first - _LEAD)
    if start:
        space = marked.find(" ", start, first)
        start = space + 1 if space >= 0 else start
    inside, shown, pieces = False, 0, [("… ", False)] if start else []
    for part in re.split(f"([{MARKS[0]}{MARKS[1]}])", marked[start:]):
        if part in MARKS:
            inside = part == MARKS[0]
            continue
        room = SNIPPET_CHARACTERS - shown
        text = " ".join(part[: room + 1].split()) if part.strip() else ""
        text = (" " if part[:1].isspace() and shown else "") + text + (" " if part[-1:].isspace() and text else "")
        cut = len(part) > room
        if text:
            pieces.append((text[:room].rstrip() + " …" if cut else text, inside))
        shown += len(text)
        if cut:
            break
    return tuple(pieces)
