"""rules.md in its two parts."""

from __future__ import annotations

import pytest

from app.domain.rules import Rules, split_rules


def test_prose_alone() -> None:
    assert split_rules("# Rules\n---\nnot front matter\n").prose == "# Rules\n---\nnot front matter\n"


def test_front_matter_and_prose() -> None:
    parts = split_rules("---\napprove: ask\n---\n\n# Rules\n")
    assert (parts.front_matter, parts.prose, parts.line) == ("approve: ask\n", "# Rules\n", 2)


def test_front_matter_without_an_end() -> None:
    with pytest.raises(ValueError, match="no closing"):
        split_rules("---\napprove: ask\n")


def test_an_empty_file_has_the_default_rules() -> None:
    assert split_rules("") == ("", "", 1)
    assert Rules().approve == "auto"
