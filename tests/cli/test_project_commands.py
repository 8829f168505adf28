"""``skerry validate`` and ``skerry schema``: exit status, streams, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Skerry
from tests.conftest import WriteProject
from tests.test_config import BAD, ONE


def test_as_a_process(write_project: WriteProject) -> None:
    folder = write_project(ONE + "    colour: red\n")
    command = [sys.executable, "-m", "app", "validate", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "agents.yaml:4:5: agents[0].colour: unknown key 'colour'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_good_project(skerry: Skerry, write_project: WriteProject) -> None:
    done = skerry("validate", str(write_project(ONE)))
    assert (done.returncode, done.stderr) == (0, "")
    assert "dev-agent (codex)" in done.stdout


def test_this_folder_is_the_project(skerry: Skerry, write_project: WriteProject) -> None:
    assert "dev-agent" in skerry("validate", cwd=write_project(ONE)).stdout


def test_json_for_programs(skerry: Skerry, write_project: WriteProject) -> None:
    good = json.loads(skerry("validate", "--json", str(write_project(ONE))).stdout)
    assert (good["ok"], good["agents"][0]["id"]) == (True, "dev-agent")
    done = skerry("validate", "--json", str(write_project(ONE + "    colour: red\n")))
    bad = json.loads(done.stdout)
    assert (done.returncode, bad["ok"], bad["complaints"][0]["line"]) == (2, False, 4)


@pytest.mark.parametrize(
    "name",
    [
        "unknown key",
        "wrong type: number for text",
        "duplicate id",
        "unknown recipient",
        "path that leaves",
        "syntax: tab",
    ],
)
def test_a_bad_project_is_explained(skerry: Skerry, name: str, write_project: WriteProject) -> None:
    text, place, words = BAD[name]
    folder = write_project(text)
    done = skerry("validate", str(folder))
    assert done.returncode == 2
    assert f"{folder}/agents.yaml:{place}: " in done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr + done.stdout


def test_mistakes_in_a_rules_file_are_found(skerry: Skerry, write_project: WriteProject) -> None:
    folder = write_project(ONE)
    (folder / "agents/dev-agent").mkdir(parents=True)
    (folder / "agents/dev-agent/rules.md").write_text("---\naprove: ask\n---\n")
    done = skerry("validate", str(folder))
    assert done.returncode == 2
    assert "rules.md:2:1: aprove: unknown key 'aprove'; did you mean 'approve'?" in done.stderr


def test_no_project(skerry: Skerry, tmp_path: Path) -> None:
    done = skerry("validate", str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "remedy:" in done.stderr


def test_text_of_a_file_cannot_steer_the_terminal(skerry: Skerry, write_project: WriteProject) -> None:
    done = skerry("validate", str(write_project(ONE + '    provider: "\\e]0;gotcha\\a[red]"\n')))
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "[red]" in done.stderr


@pytest.mark.parametrize("arguments", [["vlidate"], ["validate", "--jsn"], ["schema", "agnts"]])
def test_a_mistake_on_the_command_line(skerry: Skerry, arguments: list[str]) -> None:
    done = skerry(*arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_schema_is_json(skerry: Skerry) -> None:
    assert json.loads(skerry("schema").stdout)["title"] == "agents.yaml"


def test_version_and_help(skerry: Skerry) -> None:
    assert skerry("--version").stdout.startswith("skerry ")
    text = skerry("--help").stdout
    assert "Exit status:" in text
    assert "  2  the command line or the project's files have a mistake" in text
