"""``skerry shell`` and ``skerry console --serial``: processes on a terminal, a real server, a real machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.activities.member import machine_name
from app.cli.raw_terminal import RESET
from app.cli.serial import log_lines
from app.config import Paths, load_project
from tests.cli.conftest import PROJECT, Skerry
from tests.cli.person import Person
from tests.cli.terminal_engine import AGENT
from tests.ui.story import Story

REPOSITORY = Path(__file__).parents[2]
PROMPT = f"agent@{AGENT}"


@dataclass
class Place:
    """A project, and the Skerry its machine runs in."""

    project: Path
    paths: Paths
    environment: dict[str, str]
    engine: subprocess.Popen[str]

    def command(self, *words: str) -> list[str]:
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", *variables, sys.executable, "-m", "app", *words]

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = self.command(*words)
        return subprocess.run(command, cwd=self.project, input=given, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    home = Path(tempfile.mkdtemp(prefix="skerry-", dir="/tmp"))
    (home / "agents.yaml").write_text(PROJECT)
    environment = {
        "SKERRY_HOME": str(home),
        "SKERRY_IMAGES": os.environ["SKERRY_IMAGES"],
        "PYTHONPATH": str(REPOSITORY),
        "TERM": "xterm-256color",
    }
    fleet, paths = load_project(home).fleet_id, Paths.from_environment(environment)
    program = [sys.executable, "-m", "tests.cli.terminal_engine", fleet]
    whole = os.environ | environment
    engine = subprocess.Popen(program, cwd=REPOSITORY, env=whole, stdout=subprocess.PIPE, text=True)
    try:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "ready\n"
        yield Place(home, paths, environment, engine)
    finally:
        engine.terminate()
        engine.communicate()
        with contextlib.suppress(OSError, ValueError):  # left when the engine was killed
            noted = paths.machine(machine_name(fleet, AGENT)) / "qemu.pid"
            os.kill(int(noted.read_text().split()[0]), signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def person(place: Place) -> Iterator[Callable[..., Person]]:
    people: list[Person] = []

    def begin(*words: str) -> Person:
        people.append(Person(place.command(*words), place.project))
        return people[-1]

    yield begin
    for each in people:
        each.close()


def test_without_an_engine_or_an_agent(story: Story, skerry: Skerry) -> None:
    assert skerry("shell", "dev-agent").complained(3, "no engine is running", "skerry run")
    assert skerry("shell", "dev-agnt").complained(1, "did you mean dev-agent?")
    assert skerry("console", "dev-agent", "--serial").complained(1, "has said nothing yet")
    assert skerry("console", "dev-agent", "--serial", "-i").complained(2, "needs a terminal")
    assert skerry("console", "dev-agent", "--serial", "--json").complained(2, "no --full or --json")


def test_a_hostile_log_cannot_steer_a_terminal(story: Story, skerry: Skerry, paths: Paths) -> None:
    log = paths.machine(machine_name(story.fleet, "dev-agent")) / "console.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"boots\r\n\x1b[2J\x1b]0;title\x07red\x9b31m\xff\n" + b"x" * 40_000 + b"\nend")
    shown = skerry("console", "dev-agent", "--serial").stdout
    assert [char for char in shown if not (char.isprintable() or char == "\n")] == []
    assert shown.startswith("boots\nred")
    assert shown.endswith("x\nend\n")


def test_a_log_is_followed_into_the_file_that_takes_its_place(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"one\r\ntw")
    lines = log_lines(log, follow=True)
    assert next(lines) == b"one"
    with log.open("ab") as more:
        more.write(b"o\n")
    assert next(lines) == b"two"
    log.unlink()
    log.write_bytes(b"three\n")
    assert next(lines) == b"three"
    lines.close()


@pytest.mark.vm
def test_a_session_from_the_prompt_to_its_exit_status(person: Callable[..., Person]) -> None:
    user = person("shell", AGENT)
    user.sees(PROMPT)
    user.types("stty size; tty\r")
    user.sees("30 100\r\n/dev/pts/")
    user.types("""bash -c "trap 'stty size; exit' WINCH; echo ready; sleep 99 & wait"; pkill sleep\r""")
    user.sees("\rready\r\n")
    user.resize(90, 20)
    user.sees("20 90\r\n")
    user.types("sh -c 'echo begun; exec sleep 100'\r")
    user.sees("\rbegun\r\n")
    user.types("\x03")
    user.sees(PROMPT)
    user.types("printf '\\033[?1049h\\033[?1003h'; exit 3\r")
    assert user.ends() == 3
    assert user.seen.endswith(RESET)
    assert user.modes_changed == []


@pytest.mark.vm
def test_commands_and_pipes(place: Place) -> None:
    ended = place.run("shell", AGENT, "--", "echo $((6 * 7)); exit 4")
    assert (ended.stdout, ended.stderr, ended.returncode) == ("42\n", "", 4)
    ended = place.run("shell", AGENT, "--root", "--", "printf", "%s.", "a b", "$HOME")
    assert (ended.stdout, ended.returncode) == ("a b.$HOME.", 0)
    ended = place.run("shell", AGENT, given="whoami; pwd; exit 5\n")
    assert (ended.stdout, ended.returncode) == ("agent\n/workspace\n", 5)
    assert len(place.run("shell", AGENT, "--", "head -c 3000000 /dev/zero").stdout) == 3_000_000
    ended = place.run("shell", "test-agent", "--", "true")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the machine of test-agent is stopped" in ended.stderr and "remedy: " in ended.stderr


@pytest.mark.vm
def test_a_shell_on_the_serial_port(place: Place, person: Callable[..., Person]) -> None:
    user = person("console", AGENT, "--serial", "--interactive")
    user.sees("Ctrl-] leaves")
    user.types("\r")
    user.sees("#")
    user.types("echo it is $(id -un) $((6 * 7))\r")
    user.sees("it is root 42\r\n")
    user.types("\x1d")
    assert user.ends() == 0
    assert "left the serial port" in user.seen
    assert user.modes_changed == []
    assert "it is root 42" in place.run("console", AGENT, "--serial").stdout.splitlines()


@pytest.mark.vm
def test_a_terminal_is_given_back_whatever_ends_it(place: Place, person: Callable[..., Person]) -> None:
    hung_up = person("shell", AGENT)
    hung_up.sees(PROMPT)
    hung_up.process.send_signal(signal.SIGTERM)
    assert hung_up.ends() == 128 + signal.SIGTERM
    assert hung_up.modes_changed == []
    left = person("shell", AGENT, "--", "trap '' INT; echo begun; sleep 4324")
    left.sees("begun")
    left.types("\x03")
    left.types("\x1d\x1d\x1d")
    assert left.ends() == 130
    assert "left the terminal" in left.seen and left.modes_changed == []
    user = person("shell", AGENT)
    user.sees(PROMPT)
    place.engine.kill()  # nobody is served after this test
    assert user.ends() == 3
    assert "the engine has gone" in user.seen and RESET in user.seen
    assert user.modes_changed == []
