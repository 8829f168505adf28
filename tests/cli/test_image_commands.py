"""``skerry image`` where nothing is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Skerry


def test_what_is_not_built_is_named_too(skerry: Skerry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKERRY_IMAGES", str(tmp_path))
    rows = json.loads(skerry("image", "list", "--json").stdout)
    assert {(row["name"], row["kind"], row["built"]) for row in rows} >= {
        ("base", "image", "no"),
        ("codex", "pack", "no"),
    }
    assert "base" in skerry("image", "list").stdout


def test_an_unknown_image(skerry: Skerry) -> None:
    done = skerry("image", "build", "bsae")
    assert done.returncode == 4
    assert "base" in done.stderr
    assert "Traceback" not in done.stderr
