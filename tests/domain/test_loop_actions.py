"""The tools of the API loops: what a model is told of them, and what it may give."""

from __future__ import annotations

import pytest

from app.domain.actions import ACTIONS
from app.domain.errors import ActionRefused
from app.domain.loop_actions import (
    EditFile,
    ReadFile,
    RunCommand,
    as_command,
    in_machine,
    loop_tools,
    parse_loop_action,
)


def test_every_tool_is_described() -> None:
    tools = {tool.name: tool for tool in loop_tools()}
    own = {"run_command", "read_file", "write_file", "edit_file"}
    assert set(tools) == own | {action.name for action in ACTIONS}
    assert all(tool.description and tool.parameters["type"] == "object" for tool in tools.values())
    assert tools["run_command"].parameters["required"] == ["command"]
    assert "description" not in tools["run_command"].parameters, "told once"


def test_arguments_are_checked() -> None:
    assert parse_loop_action("run_command", {"command": "ls"}) == RunCommand(command="ls")
    assert parse_loop_action("finish", {}) is None
    for name, arguments, words in (
        ("run_command", {}, "command: Field required"),
        ("run_command", {"command": "ls", "colour": 1}, "colour"),
        ("read_file", {"path": "a", "start_line": 0}, "start_line"),
        ("edit_file", {"path": "a", "old": "", "new": "b"}, "old"),
    ):
        with pytest.raises(ActionRefused, match=words):
            parse_loop_action(name, arguments)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("a.txt", "/workspace/a.txt"),
        ("./x/../a.txt", "/workspace/a.txt"),
        ("../etc/passwd", "/etc/passwd"),
        ("/etc//hosts", "/etc/hosts"),
        ("//etc/hosts", "/etc/hosts"),
        ("~/notes", "/home/agent/notes"),
        ("~", "/home/agent"),
        ("~other", "/workspace/~other"),
    ],
)
def test_paths_are_those_of_the_machine(path: str, place: str) -> None:
    assert in_machine(path) == place


def test_the_rules_see_reading_as_the_command_it_is() -> None:
    assert as_command(ReadFile(path="a b")) == "cat '/workspace/a b'"
    assert as_command(RunCommand(command="git push")) == "git push"
    assert as_command(EditFile(path="a", old="b", new="c")) == "", "a change of files"
