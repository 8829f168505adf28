"""``skerry rules check``: the verdict, why, and the exit status; nothing is run and no engine started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Skerry
from tests.conftest import WriteProject

PROJECT = "agents:\n  - {id: dev, type: codex}\n"
RULES = '---\ncommands:\n  deny: ["rm -rf *"]\n  ask:\n    - "git push *"\n---\nBe kind.\n'


@pytest.fixture
def folder(write_project: WriteProject) -> Path:
    folder = write_project(PROJECT)
    (folder / "agents/dev").mkdir(parents=True)
    (folder / "agents/dev/rules.md").write_text(RULES)
    return folder


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["ls", "-l"], 0, "allowed: no rule names ls -l"),
        (["git", "push"], 7, "the user is asked: git push needs an approval"),
        (["ls; sudo rm -rf x"], 1, "denied: rm -rf x is denied by your rules"),
        (["rm", "-rf", "a b"], 1, "rule commands.deny: rm -rf *  (agents/dev/rules.md:3)"),
        (["git push"], 7, "“always” would remember: git push"),
    ],
)
def test_verdicts(skerry: Skerry, folder: Path, command: list[str], status: int, words: str) -> None:
    done = skerry("rules", "check", "dev", "-p", str(folder), "--", *command)
    assert (done.returncode, done.stderr) == (status, "")
    assert words in done.stdout


def test_for_programs(skerry: Skerry, folder: Path) -> None:
    done = skerry("rules", "check", "--json", "dev", "-p", str(folder), "--", "cd x && sudo git push $X > log")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"], found["rule"]) == (7, "ask", "commands.ask: git push *")
    assert found["place"] == "agents/dev/rules.md:5"
    assert found["commands"] == ["cd x", "sudo git push …", "git push …"]
    assert found["writes"] == ["log"] and found["unclear"] == []
    assert [part["verdict"] for part in found["parts"]] == ["allow", "allow", "ask"]


def test_mistakes_are_the_users(skerry: Skerry, folder: Path) -> None:
    (folder / "agents/dev/rules.md").write_text("---\ncommands: {dney: [x]}\n---\n")
    done = skerry("rules", "check", "dev", "-p", str(folder), "--", "ls")
    assert done.returncode == 2 and "rules.md:2:12: commands.dney: unknown key" in done.stderr
    assert skerry("rules", "check", "nobody", "-p", str(folder), "--", "ls").returncode != 0
