"""approvals.yaml: written by Skerry, read and edited by people."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import ProjectInvalid, load_project
from app.config.approvals import allow_commands, load_approvals, load_commands, open_channel

AGENTS = """
agents:
  - {id: alice, type: codex, direct_communication: [bob]}
  - {id: bob, type: codex}
  - {id: carol, type: codex}
"""


def test_a_channel_is_written_once_and_joins_those_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(AGENTS)
    assert open_channel(tmp_path, "bob", "carol")
    assert open_channel(tmp_path, "bob", "alice")
    assert not open_channel(tmp_path, "bob", "carol")
    text = (tmp_path / "approvals.yaml").read_text()
    assert text.startswith("# What you have allowed for always")
    assert text.endswith("direct_communication:\n  bob: [carol, alice]\n")
    fleet = load_project(tmp_path).fleet
    assert fleet.agent("alice").direct_communication == ("bob",)
    assert fleet.agent("bob").direct_communication == ("carol", "alice")
    assert [path.name for path in tmp_path.iterdir() if "approvals" in path.name] == ["approvals.yaml"]


def test_agents_that_are_gone_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(AGENTS)
    (tmp_path / "approvals.yaml").write_text("direct_communication:\n  dave: [alice]\n  bob: [dave, bob, alice]\n")
    assert load_project(tmp_path).fleet.agent("bob").direct_communication == ("alice",)


def test_commands_and_channels_stand_side_by_side(tmp_path: Path) -> None:
    assert allow_commands(tmp_path, "bob", ['git commit -m "ä: b" \\*', "ls"])
    assert open_channel(tmp_path, "bob", "carol")
    assert allow_commands(tmp_path, "alice", ["ls"])
    assert not allow_commands(tmp_path, "bob", ["ls"])
    assert load_commands(tmp_path) == {"alice": ("ls",), "bob": ('git commit -m "ä: b" \\*', "ls")}
    assert load_approvals(tmp_path) == {"bob": ("carol",)}
    text = (tmp_path / "approvals.yaml").read_text()
    assert text.endswith(
        'commands:\n  alice:\n    - "ls"\n  bob:\n    - "git commit -m \\"ä: b\\" \\\\*"\n    - "ls"\n'
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "direct_communication:\n"])
def test_an_empty_file_opens_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "approvals.yaml").write_text(text)
    assert load_approvals(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- bob\n", "approvals.yaml:1:1: expected a mapping"),
        ("x: 1\n", "approvals.yaml:1:4: x: this key is not known, found 'x'; valid: direct_communication, commands"),
        ("direct_communication: [bob]\n", "approvals.yaml:1:23: direct_communication: expected a mapping"),
        ("direct_communication:\n  bob: alice\n", "approvals.yaml:2:8: direct_communication.bob: expected a list"),
        ("direct_communication:\n  bob: [1]\n", "approvals.yaml:2:9: direct_communication.bob.0: expected the id"),
        ("commands:\n  bob: ls\n", 'approvals.yaml:2:8: commands.bob: expected a list such as ["git push"]'),
        ("direct_communication: {\n", "approvals.yaml:2:1: not YAML"),
    ],
)
def test_nonsense_is_complained_about_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "approvals.yaml").write_text(text)
    with pytest.raises(ProjectInvalid) as raised:
        load_approvals(tmp_path)
    assert words in str(raised.value)
