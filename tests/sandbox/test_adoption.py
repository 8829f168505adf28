"""Engines are killed, machines go on. Each engine is a process of its own, as in life."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(300)]
HERE = Path(__file__).parent


@pytest.fixture
def root() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="skerry-", dir="/tmp"))
    yield folder
    run(folder, "destroy")
    shutil.rmtree(folder)


def start(root: Path, script: str, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, str(HERE / script), str(root), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def run(root: Path, *words: str) -> dict[str, object]:
    with start(root, "next_host.py", *words) as process:
        output, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    found = json.loads(output)
    assert isinstance(found, dict)
    return found


def killed_engine(root: Path) -> None:
    with start(root, "crashing_host.py") as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.kill()


def test_a_machine_outlives_a_killed_engine_and_nothing_runs_twice(root: Path) -> None:
    killed_engine(root)
    found = run(root, "look")
    assert found["note"] == "adopted"
    assert found["kept"] == "kept\n"
    assert found["log"] == "once\n", "the command that was running came to its end, once"
    assert found["left"] == "", "what the old session had started is gone"


def test_a_machine_without_its_channel_is_started_again_on_its_disk(root: Path) -> None:
    killed_engine(root)
    for socket in (root / "s").iterdir():
        socket.unlink()
    found = run(root, "look")
    assert "started again on its own disk: it could not be adopted: " in str(found["note"])
    assert found["kept"] == "kept\n"


def test_a_machine_libvirt_forgot_is_ended(root: Path) -> None:
    killed_engine(root)
    shutil.rmtree(root / "v")
    found = run(root, "look")
    assert found["note"] == "started again on its own disk: nobody could reach it any more"
    assert found["kept"] == "kept\n"
    assert found["processes"] == 1


def test_a_second_engine_on_the_same_folder_is_refused(root: Path) -> None:
    with start(root, "crashing_host.py") as first:
        assert first.stdout is not None and first.stdout.readline() == "ready\n"
        found = run(root, "look")
        first.kill()
    assert "another engine" in str(found["error"])
