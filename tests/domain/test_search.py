from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ActionRefused
from app.domain.search import Term, gram_expression, parse_terms, word_expression


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("deploy key", (Term("deploy"), Term("key"))),
        ("dep* -staging", (Term("dep", prefix=True), Term("staging", excluded=True))),
        ('"the deploy key" -"old one"', (Term("the deploy key"), Term("old one", excluded=True))),
        ('"never closed', (Term("never closed"),)),
        ("a OR b NOT c NEAR(d)", tuple(map(Term, ("a", "OR", "b", "NOT", "c", "NEAR(d)")))),
        ("heading:x -5 --flag *", (Term("heading:x"), Term("-5"), Term("--flag"), Term("*"))),
    ],
)
def test_what_is_typed_is_looked_for_as_it_is(typed: str, terms: tuple[Term, ...]) -> None:
    assert parse_terms(typed) == terms


@pytest.mark.parametrize("typed", ["", "  ", '""', "-only", "x " * 40, "y" * 1001, "\x00", "a\ud800"])
def test_what_says_nothing_or_too_much_is_refused(typed: str) -> None:
    with pytest.raises(ActionRefused) as refusal:
        parse_terms(typed)
    assert refusal.value.hint


@given(st.text(max_size=80))
def test_no_query_is_a_mistake_to_the_database(typed: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(heading, body, scope, tokenize='porter unicode61')")
    connection.execute("CREATE VIRTUAL TABLE grams USING fts5(heading, body, tokenize='trigram')")
    connection.execute("INSERT INTO words VALUES ('a heading', 'some text', 'kindmemory')")
    try:
        terms = parse_terms(typed)
    except ActionRefused:
        return
    for table, expression in (("words", word_expression(terms)), ("grams", gram_expression(terms))):
        if expression:
            connection.execute(f"SELECT rowid FROM {table} WHERE {table} MATCH ?", (expression,)).fetchall()
    connection.close()
