"""Sizes and durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.quantities import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GiB", 2**30), ("256KiB", 2**18), ("1kB", 1000), ("1.5 MiB", 1_572_864), ("12", 12), (7, 7), ("3 b", 3)],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "1 GB GB", "-1GiB", "1G", True, None, 1.5, []])
def test_not_a_size(text: object) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("4h", 14_400), ("10m", 600), ("1h30m", 5400), ("250ms", 0.25), ("1h 30m", 5400), (90, 90)]
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "10x", "m10", "-1s", "1h-30m", False, None, float("nan"), float("inf")])
def test_not_a_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=2**50))
def test_a_shown_size_can_be_read_back_nearly(size: int) -> None:
    assert abs(parse_size(format_size(size)) - size) <= size * 0.06


@given(st.integers(min_value=1, max_value=10**7))
def test_a_shown_duration_can_be_read_back_nearly(seconds: int) -> None:
    assert abs(parse_duration(format_duration(seconds)) - seconds) <= seconds * 0.05


def test_shown_in_short() -> None:
    assert [format_duration(n) for n in (0, 45, 600, 5400, 90_061)] == ["0s", "45s", "10m", "1h30m", "1d1h"]
    assert [format_size(n) for n in (0, 512, 1536, 2**30)] == ["0B", "512B", "1.5KiB", "1GiB"]
