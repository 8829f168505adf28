"""Engines and QEMUs are killed at random points; the next engine goes on, and at the end nothing is left.

SKERRY_SOAK_ROUNDS=100 pytest -m soak -s runs the long one; SKERRY_SOAK_SEED repeats the points of an earlier run.
libvirt's daemon is not killed apart: its driver is embedded, so that it is the engine's process.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.bench.processes import end_processes, processes_naming
from tests.sandbox.conftest import images_dir
from tests.soak.leftovers import abandoned_builds, leftovers

pytestmark = [pytest.mark.vm, pytest.mark.slow]
HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("SKERRY_SOAK_ROUNDS", "0"))
SEED = int(os.environ.get("SKERRY_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
_PATIENCE = 120.0
_LATEST = 6.0
"""Seconds after it has reconciled at which something is killed, at the latest; a cycle takes half of them."""
_EARLY = 0.2
"""How often an engine is killed while it starts."""


@dataclass
class EngineProcess:
    """A running engine and what it said so far."""

    process: subprocess.Popen[str]
    lines: queue.Queue[dict[str, object]] = field(default_factory=queue.Queue)

    @classmethod
    def start(cls, root: Path, work: str, cycles: int) -> EngineProcess:
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "TMPDIR": str(root / "tmp")}
        command = [sys.executable, str(HERE / "engine.py"), str(root), work, str(cycles)]
        log = (root / "engine.log").open("a")
        with log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        engine = cls(process)
        threading.Thread(target=engine._read, daemon=True).start()
        return engine

    def said(self) -> Iterator[dict[str, object]]:
        """Lines as they come, until it ends."""
        while True:
            line = self.lines.get(timeout=_PATIENCE)
            if not line:
                return
            yield line

    def wait_for(self, wanted: str) -> list[dict[str, object]]:
        """What it says until it has done this. Fails when it ends before."""
        heard = []
        for line in self.said():
            heard.append(line)
            if line["did"] == wanted:
                return heard
        raise AssertionError(f"the engine ended before {wanted}: {heard}")

    def kill(self) -> list[dict[str, object]]:
        """End it at once; what it said and nobody has read yet."""
        self.process.kill()
        self.process.wait()
        return list(self.said())

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                with contextlib.suppress(ValueError):  # its last line may be cut off
                    self.lines.put(json.loads(line))
        self.lines.put({})


@dataclass
class Soak:
    """Rounds of engines on one machine room."""

    root: Path
    chance: random.Random
    seen: Counter[str] = field(default_factory=Counter)
    damage: list[object] = field(default_factory=list)

    def round(self, work: str, victim: str) -> None:
        """An engine at work, and something that is killed."""
        engine = EngineProcess.start(self.root, work, 0)
        if self.chance.random() < _EARLY:
            time.sleep(self.chance.uniform(0.2, 2))
        else:
            self._note(engine.wait_for("reconcile"))
            time.sleep(self.chance.uniform(0, _LATEST))
        if victim != "engine":
            self._kill_a_qemu(engine)
        if victim == "qemu":
            self._note(engine.wait_for("cycle"))  # it gets over it
            time.sleep(self.chance.uniform(0, _LATEST / 2))
        self._note(engine.kill())
        self.seen[f"{work}, {victim} killed"] += 1

    def finish(self) -> None:
        """A last engine, which is left in peace, takes all away."""
        engine = EngineProcess.start(self.root, "run", 1)
        lines = list(engine.said())
        self._note(lines)
        assert engine.process.wait() == 0, (self.root / "engine.log").read_text()[-3000:]
        assert lines[-1] == {"did": "end", "names": []}
        assert any(line["did"] == "cycle" for line in lines), "the last engine works as if nothing had happened"

    def _kill_a_qemu(self, engine: EngineProcess) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and engine.process.poll() is None:
            running = sorted(pid for pid, program in processes_naming(self.root) if b"qemu-system" in program)
            if running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.chance.choice(running), signal.SIGKILL)
                return
            time.sleep(0.02)
        raise AssertionError("no machine was ever started: " + (self.root / "engine.log").read_text()[-3000:])

    def _note(self, lines: list[dict[str, object]]) -> None:
        self.seen.update(str(line["did"]) for line in lines if line["did"] not in ("progress", "damage"))
        self.damage += [line for line in lines if line["did"] == "damage"]


@pytest.fixture
def root() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="skerry-", dir="/tmp"))
    (folder / "tmp").mkdir()
    (folder / "t").mkdir()
    yield folder
    end_processes(folder)
    shutil.rmtree(folder)


def soak(root: Path, rounds: list[tuple[str, str]]) -> None:
    print(f"seed {SEED}")
    before = set(abandoned_builds(images_dir()))
    whole = Soak(root, random.Random(SEED))
    for number, (work, victim) in enumerate(rounds, start=1):
        begun = time.monotonic()
        whole.round(work, victim)
        print(f"round {number} of {len(rounds)}: {work}, {victim} killed, {time.monotonic() - begun:.1f} s", flush=True)
    whole.finish()
    print(dict(whole.seen))
    left = [name for name in leftovers(root, images_dir()) if name not in {str(path) for path in before}]
    assert not left, f"seed {SEED}: {left}"
    assert not whole.damage, f"seed {SEED}: {whole.damage}"


@pytest.mark.timeout(300)
def test_nothing_is_left_of_a_few_crashes(root: Path) -> None:
    soak(root, [("template", "engine"), ("run", "qemu"), ("suspend", "both"), ("run", "engine")])


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.skipif(not ROUNDS, reason="SKERRY_SOAK_ROUNDS says how many rounds")
def test_nothing_is_left_of_many_crashes(root: Path) -> None:
    chance = random.Random(SEED)
    works = ["run", "run", "run", "suspend", "suspend", "template"]
    soak(root, [(chance.choice(works), chance.choice(["engine", "qemu", "both"])) for _ in range(ROUNDS)])
