"""Scenario files: mistakes are told with file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.errors import ConfigError
from app.gateway.scenario import load_scenario

GOOD = """\
title: T
texts: {a: one}
agents:
  x:
    steps:
      - {id: one, say: hi}
"""


def step(text: str) -> str:
    return GOOD + f"      - {text}\n"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("title: [", "1:9", "not YAML"),
        ("title: T\nagents: {}\n", "2:9", "at least 1"),
        (GOOD.replace("say", "sya"), "6:19", "unknown key"),
        (step("{id: One, say: ho}"), "7:14", "pattern"),
        (step("{id: two}"), "7:9", "one of say, run, calls"),
        (step("{id: one, say: ho}"), "7:14", "there twice"),
        (step("{id: two, say: hi}"), "7:24", "the same each time"),
        (step("{id: two, say: <<b>>}"), "7:24", "<<b>> is no text"),
        (step("{id: two, run: ls, capture: {b: '('}}"), "7:41", "not a regular expression"),
        (step("{id: two, run: ls, when: {exit: {of: three, status: 0}}}"), "7:34", "no step 'three'"),
        (step("{id: two, run: ls, when: {exit: {of: one}}}"), "7:41", "either 'status' or 'not'"),
        (step("{id: two, run: ls, when: {}}"), "7:34", "exactly one"),
        (step("{id: two, recover: ls, say: x}"), "7:9", "'recover' stands in for 'run'"),
        (step("{id: two, calls: [{tool: sing}]}"), "7:27", "no tool 'sing'"),
        (step("{id: two, calls: [{tool: finish, arguments: {}}]}"), "7:27", "summary"),
        (step("{id: two, capture: {q: x}, say: <<q>>}"), "7:41", "the same each time"),
    ],
)
def test_mistakes_have_a_place(tmp_path: Path, text: str, place: str, message: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_scenario(file)
    line = str(caught.value).splitlines()[0]
    assert line.startswith(f"{file}:{place}: ")
    assert message in line


def test_texts_fill_texts(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD.replace("{a: one}", "{a: one, b: '<<a>> two <<run>>'}"))
    assert load_scenario(file).text("b") == "one two <<run>>"


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2] / "resources" / "rehearsals").glob("*.yaml")))
def test_our_own_scenarios_load(file: Path) -> None:
    assert load_scenario(file).agents
