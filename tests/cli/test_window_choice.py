"""``skerry`` alone, where no window can be: what it decides before anything starts."""

from __future__ import annotations

import pytest

from app.cli.window import has_display


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"])
def test_a_display_is_found(name: str) -> None:
    assert has_display({name: ":0"})
    assert not has_display({name: ""})


def test_no_display() -> None:
    assert not has_display({})
