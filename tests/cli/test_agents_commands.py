"""``skerry agents types``: what can be run, what is installed, what is missing."""

from __future__ import annotations

import json
from importlib.metadata import version

from tests.cli.conftest import Skerry


def test_types_are_listed(skerry: Skerry) -> None:
    done = skerry("agents", "types", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    listed = {entry["type"]: entry for entry in json.loads(done.stdout)["types"]}
    assert list(listed) == ["codex", "claude-code", "acp", "openai", "anthropic"]
    for name in ("openai", "anthropic"):
        assert listed[name]["ready"] and listed[name]["installed"] == {f"{name} SDK": version(name)}
    codex = listed["codex"]
    assert bool(codex["installed"]) != bool(codex["missing"])
    assert codex["missing"] == "" or codex["remedy"] == "skerry image build --pack codex"


def test_people_see_it_too(skerry: Skerry) -> None:
    done = skerry("agents", "types")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert any(line.startswith("openai       ready") and version("openai") in line for line in lines)
