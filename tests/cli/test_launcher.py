"""./skerry on a machine of stand-ins: apt-get, dpkg-query, sudo and the Python of the environment are small scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PYTHON = """#!/bin/bash
echo "python $*" >>"$CALLS"
case "$*" in
    *"pip install"*) sleep "${PIP_SECONDS:-0}"; exit "${PIP_STATUS:-0}" ;;
    *"image build"*) mkdir -p "$BUILT"; echo "$BUILT" >"${@: -1}" ;;
    *setup-check*) echo "machines run" ;;
    *"-m app"*) echo "app: $SKERRY_CHECKOUT: ${*:3}" ;;
esac
"""
DPKG = """#!/bin/bash
sed -E 's/#.*//; s/\\?.*//; /^\\s*$/d; s/\\s//g; s/^/ii |/' "$PACKAGES" | grep -vFx -f <(cat "$ABSENT" 2>/dev/null)
"""
APT = """#!/bin/bash
echo "apt-get $*" >>"$CALLS"
[[ ${APT_STATUS:-0} == 0 ]] || { echo "E: Could not resolve the mirror"; exit "$APT_STATUS"; }
: >"$ABSENT"
"""
SUDO = """#!/bin/bash
[[ $1 == --non-interactive ]] && exit "${SUDO_STATUS:-0}"
exec "$@"
"""


class Machine:
    """A checkout and the programs it meets."""

    def __init__(self, folder: Path) -> None:
        self.root, self.calls, self.absent = folder / "checkout", folder / "calls", folder / "absent"
        self.built, self._bin = folder / "built", folder / "bin"
        self._bin.mkdir()
        (self.root / "packaging").mkdir(parents=True)
        for name in ("skerry", "pyproject.toml", "packaging/setup.sh", "packaging/debian-packages.txt"):
            shutil.copy(ROOT / name, self.root / name)
        (self.root / "vm_images").mkdir()
        (self.root / "app/sandbox").mkdir(parents=True)
        self.script(self.root / ".venv/bin/python", PYTHON)
        for name, text in {"dpkg-query": DPKG, "apt-get": APT, "sudo": SUDO, "getent": "#!/bin/sh\n"}.items():
            self.script(self._bin / name, text)

    def script(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def start(
        self, *arguments: str, program: Path | None = None, user: int | None = None, **env: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", str(program or self.root / "skerry"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            user=user,
            env={
                "PATH": f"{self._bin}:{os.environ['PATH']}",
                "HOME": str(self.root.parent),
                "CALLS": str(self.calls),
                "ABSENT": str(self.absent),
                "BUILT": str(self.built),
                "PACKAGES": str(ROOT / "packaging/debian-packages.txt"),
                **env,
            },
        )

    def run(
        self, *arguments: str, program: Path | None = None, user: int | None = None, **env: str
    ) -> tuple[int, str, str]:
        process = self.start(*arguments, program=program, user=user, **env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def count(self, words: str) -> int:
        return self.calls.read_text().count(words) if self.calls.exists() else 0


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not below pytest's folder: that one is private, and one test runs as another user.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Machine(Path(name))


def test_the_first_time_sets_up_and_the_second_is_quick_and_silent(machine: Machine) -> None:
    status, out, err = machine.run("validate", "x y")
    assert (status, out) == (0, f"app: {machine.root}: validate x y\n")
    assert "[1/5] Debian packages … ok (already there)" in err
    assert "[2/5] Python environment … ok (" in err
    started = time.monotonic()
    assert machine.run("status", "--json") == (0, f"app: {machine.root}: status --json\n", "")
    assert time.monotonic() - started < 1
    assert machine.count("pip install") == 1


def test_everything_for_a_run(machine: Machine) -> None:
    status, _, err = machine.run("run", "--headless")
    assert status == 0
    for step in ("[3/5] VM image base", "[4/5] tool pack codex", "[5/5] check"):
        assert f"{step} … ok (" in err
    assert (machine.count("image build base"), machine.count("image build codex")) == (1, 1)
    assert machine.run("run")[2] == ""


def test_help_builds_nothing(machine: Machine) -> None:
    assert machine.run("run", "--help")[0] == 0
    assert machine.count("image build") == 0


@pytest.mark.slow
def test_what_was_pruned_or_changed_is_built_again(machine: Machine) -> None:
    machine.run()
    machine.built.rmdir()
    machine.run()
    assert machine.count("image build base") == 2
    (machine.root / "vm_images/recipe.toml").write_text("new")
    machine.run()
    assert machine.count("image build base") == 3


def test_a_new_pyproject_is_installed(machine: Machine) -> None:
    machine.run("status")
    (machine.root / "pyproject.toml").write_text("[project]\n")
    machine.run("status")
    assert machine.count("pip install") == 2


def test_missing_packages_are_installed(machine: Machine) -> None:
    machine.absent.write_text("ii |lz4\nii |xvfb\n")
    status, _, err = machine.run("status")
    assert status == 0
    assert "[1/5] Debian packages … ok (" in err
    assert machine.count("install --yes --no-install-recommends lz4 xvfb") == 1


def test_a_failed_step_is_named_with_remedy_and_log(machine: Machine) -> None:
    machine.absent.write_text("ii |lz4\n")
    status, out, err = machine.run("status", APT_STATUS="100")
    assert (status, out) == (1, "")
    assert "[1/5] Debian packages … failed" in err
    assert "E: Could not resolve the mirror" in err
    assert "apt-get install --no-install-recommends lz4" in err
    assert str(machine.root / ".skerry/setup/packages.log") in err


def test_a_failed_environment_is_not_taken_for_done(machine: Machine) -> None:
    status, _, err = machine.run("status", PIP_STATUS="1")
    assert (status, "[2/5] Python environment … failed" in err) == (1, True)
    assert machine.run("status")[0] == 0


def test_without_root_the_command_is_told(machine: Machine) -> None:
    if os.geteuid() == 0:
        for path in machine.root.rglob("*"):
            os.chown(path, 65534, 65534)
        os.chown(machine.root, 65534, 65534)
    machine.absent.write_text("ii |lz4\n")
    status, _, err = machine.run("status", SUDO_STATUS="1", user=65534 if os.geteuid() == 0 else None)
    assert status == 1
    assert "installing them needs root" in err
    assert "sudo apt-get update && sudo apt-get install --no-install-recommends lz4" in err


@pytest.mark.slow
def test_two_at_once_set_up_once(machine: Machine) -> None:
    first = machine.start("status", PIP_SECONDS="1.5")
    while not machine.count("pip install"):
        time.sleep(0.02)
    second = machine.start("status", PIP_SECONDS="1.5")
    _, second_err = second.communicate(timeout=60)
    first.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "Another set-up is at work here; waiting" in second_err
    assert machine.count("pip install") == 1


def test_it_may_be_a_link(machine: Machine) -> None:
    link = machine.root.parent / "bin" / "skerry"
    link.symlink_to(machine.root / "skerry")
    assert machine.run("status", program=link)[1] == f"app: {machine.root}: status\n"
