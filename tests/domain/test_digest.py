from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.digest import (
    CHARACTERS_PER_TOKEN,
    MIN_TOKENS,
    digest,
    estimated_tokens,
    headings_index,
    page,
    words_of,
)

SECTION = st.tuples(st.sampled_from("ABCDEF"), st.lists(st.text("abc de", min_size=1, max_size=200), max_size=12))
MEMORIES = st.lists(SECTION, max_size=12).map(
    lambda parts: "".join(f"## {name}\n\n" + "\n".join(lines) + "\n\n" for name, lines in parts)
)
FILLER = "\n".join(f"filler {number:04} of no interest whatever it may be" for number in range(200))


@given(MEMORIES, st.integers(MIN_TOKENS, 1000), st.lists(st.sampled_from("ABCDEFG"), unique=True))
def test_it_fits_and_is_always_the_same(text: str, budget: int, recent: list[str]) -> None:
    made = digest(text, about="abc", recent=recent, budget=budget)
    assert len(made) <= budget * CHARACTERS_PER_TOKEN
    assert made == digest(text, about="abc", recent=recent, budget=budget)
    if estimated_tokens(text.strip()) <= budget:
        assert made == text.strip()


@given(MEMORIES, st.integers(MIN_TOKENS, 400))
def test_every_line_of_it_is_of_the_memory_or_says_what_is_left_out(text: str, budget: int) -> None:
    made = digest(text, budget=budget)
    if made == text.strip():
        return
    intro, _, rest = made.partition("\n\n")
    assert intro.startswith("(About ")
    shown, _, index = rest.partition("Not here, or not whole:")
    known = set(text.split("\n"))
    assert all(line in known or line.startswith("(the first ") for line in shown.split("\n"))
    assert index.strip(), "something is left out, and said"


def test_recent_and_relevant_come_first() -> None:
    parts = {"Old": FILLER, "Parser": "The parser takes ISO durations.", "Junk": FILLER, "Now": "newest"}
    text = "\n\n".join(f"## {heading}\n\n{body}" for heading, body in parts.items())
    made = digest(text, about="Write a parser for durations.", recent=["Now", "Junk"], budget=500)
    assert made.index("newest") < len(made) // 2
    assert "The parser takes ISO durations." in made
    assert "- Old (200 lines)" in made
    assert "- Junk (200 lines)" in made
    assert "filler 0199" in made, "the last lines of what does not fit whole"
    assert "filler 0000" not in made


def test_words_say_what_a_text_is_about() -> None:
    assert words_of("Write THE parser, with 2 tests_for it") == {"write", "parser", "tests"}


def test_pages_are_the_whole() -> None:
    lines = [f"{number}" * 30 for number in range(50)] + ["x" * 5000, "end"]
    start, seen = 1, []
    while start:
        text, start = page(lines, start, budget=100)
        seen += text.split("\n")
    assert seen == lines
    assert page([], 1) == ("", 0)


def test_the_index_is_bounded_and_says_how_many_more() -> None:
    text = "".join(f"## Heading {number}\n\nx\n" for number in range(500))
    index = headings_index(text, room=300)
    assert len(index) <= 300
    assert "- Heading 0 (1 lines)" in index
    assert "more" in index.splitlines()[-1]
