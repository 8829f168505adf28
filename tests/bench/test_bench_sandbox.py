"""The benchmark measures what it says, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.bench.openssh import require_openssh
from app.bench.processes import processes_naming
from app.domain.errors import HostError
from tests.sandbox.conftest import images_dir

HERE = Path(__file__).parent


def start(*command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "SKERRY_IMAGES": str(images_dir())}
    words = [sys.executable, *command]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def homes() -> set[Path]:
    return set(Path("/tmp").glob("skerry-bench-*"))


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_is_measured_on_both_sides() -> None:
    with start(str(HERE / "small_bench.py")) as bench:
        output, errors = bench.communicate(timeout=280)
    assert bench.returncode == 0, errors
    found = json.loads(output)
    for name, measure in found["measures"].items():
        assert measure["floor"]["median"] > 0, name
        assert name.startswith("disk_") or measure["ours"]["median"] > 0, name
    assert len(found["measures"]["pss"]["ours"]["samples"]) == 2
    assert found["ratios"]["warm_to_cold"] < 1
    assert not Path(found["home"]).exists() and list(processes_naming(Path(found["home"]))) == []


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "TERM"])
def test_nothing_is_left_when_it_is_interrupted(number: signal.Signals) -> None:
    before = homes()
    with start("-m", "app", "bench", "sandbox", "--quick") as bench:
        assert bench.stderr is not None
        assert re.match("one machine each way", bench.stderr.readline())
        (home,) = homes() - before
        while not any(b"qemu-system" in program for _, program in processes_naming(home)):
            assert bench.poll() is None
        bench.send_signal(number)
        bench.communicate(timeout=150)
    assert bench.returncode == 130
    assert not home.exists() and list(processes_naming(home)) == []


def test_without_openssh_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError) as found:
        require_openssh()
    assert found.value.hint == "apt install openssh-client"
