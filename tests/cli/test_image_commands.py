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
        ("base", "image", False),
        ("codex", "pack", False),
    }
    assert "base" in skerry("image", "list").stdout


def test_an_unknown_image(skerry: Skerry) -> None:
    done = skerry("image", "build", "bsae")
    assert done.returncode == 4
    assert "base" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_proprietary_pack_is_not_fetched_unasked(
    skerry: Skerry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SKERRY_IMAGES", str(tmp_path))
    done = skerry("image", "build", "--pack", "claude-code")
    assert done.returncode == 4
    assert "Anthropic PBC" in done.stderr and "https://" in done.stderr
    assert "remedy: read them, then: skerry image build --pack claude-code --accept-licence" in done.stderr
    assert not list(tmp_path.glob("*claude*"))


def test_prune_says_what_would_go_and_then_takes_it(
    skerry: Skerry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SKERRY_IMAGES", str(tmp_path))
    assert "nothing to remove" in skerry("image", "prune").stdout
    old = tmp_path / "pack-codex-0123456789ab"
    old.mkdir()
    (old / "pack.img").write_bytes(b"x" * 100_000)
    would = json.loads(skerry("image", "prune", "--dry-run", "--json").stdout)
    assert would["dry_run"] and [row["folder"] for row in would["removed"]] == [str(old)] and old.exists()
    assert "skerry image prune" in skerry("image", "list").stdout
    assert "freed" in skerry("image", "prune").stdout and not old.exists()
