"""Licences are accepted once, for the very terms that were shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.domain.errors import ImageError
from app.sandbox.licence import Acceptances, licence_of
from app.sandbox.package_lock import drift_from_lock, write_lock
from app.sandbox.packs import PackBuilder

TERMS = 'name = "Tool"\npublisher = "Firm"\nterms = ["https://firm.example/terms"]\n'


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    recipe = tmp_path / "packs" / "tool"
    recipe.mkdir(parents=True)
    (recipe / "package.json").write_text("{}")
    (recipe / "licence.toml").write_text(TERMS)
    return recipe.parent


def test_nothing_is_fetched_before_the_licence_is_accepted(packs: Path, tmp_path: Path) -> None:
    told: list[str] = []
    for acceptances in (None, Acceptances(tmp_path / "licences.json")):
        with pytest.raises(ImageError, match="Tool is of Firm") as caught:
            PackBuilder(tmp_path / "images", packs, acceptances).ensure("tool", told.append)
        assert "skerry image build --pack tool" in caught.value.hint
    assert told == [] and not (tmp_path / "images").exists()


def test_an_acceptance_holds_until_the_terms_change(packs: Path, tmp_path: Path) -> None:
    file = tmp_path / "config" / "licences.json"
    builder = PackBuilder(tmp_path / "images", packs, Acceptances(file))
    assert builder.licence("tool") is not None
    builder.accept("tool")
    assert PackBuilder(tmp_path / "images", packs, Acceptances(file)).licence("tool") is None
    noted = json.loads(file.read_text())["tool"]
    assert noted["publisher"] == "Firm" and noted["terms"] == ["https://firm.example/terms"] and noted["accepted_at"]
    (packs / "tool" / "licence.toml").write_text(TERMS.replace('terms"]', 'terms-2"]'))
    assert builder.licence("tool") is not None


def test_a_damaged_note_is_no_acceptance(packs: Path, tmp_path: Path) -> None:
    file = tmp_path / "licences.json"
    file.write_text("{")
    builder = PackBuilder(tmp_path / "images", packs, Acceptances(file))
    assert builder.licence("tool") is not None
    builder.accept("tool")
    assert builder.licence("tool") is None


def test_a_free_pack_asks_nothing_and_a_broken_licence_is_named(packs: Path, tmp_path: Path) -> None:
    (packs / "tool" / "licence.toml").write_text("name = ")
    with pytest.raises(ImageError, match="licence.toml cannot be read"):
        licence_of(packs / "tool")
    (packs / "tool" / "licence.toml").unlink()
    assert licence_of(packs / "tool") is None


def test_a_build_tells_how_it_differs_from_the_lock(tmp_path: Path) -> None:
    def build(**versions: str) -> Path:
        (tmp_path / "manifest.json").write_text(json.dumps({"packages": versions}))
        return tmp_path

    assert drift_from_lock(tmp_path, build(git="1:2.39")) == "", "nobody wrote a lock yet"
    assert write_lock(tmp_path, build(git="1:2.39", bash="5.2")) == 2
    assert drift_from_lock(tmp_path, build(git="1:2.39", bash="5.2")) == ""
    drift = drift_from_lock(tmp_path, build(git="1:2.40", vim="9"))
    assert drift == "3 packages are not the versions of packages.lock: bash is gone, git 1:2.40, vim 9"
