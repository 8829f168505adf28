from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.domain.errors import EngineRunning
from app.engine.instance import EngineInfo, InstanceLock, lock_holder, read_ready, write_ready


def test_a_second_engine_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    with InstanceLock(path):
        assert lock_holder(path) == os.getpid()
        with pytest.raises(
            EngineRunning, match=rf"another engine runs already \(pid {os.getpid()}, since .*skerry stop"
        ):
            InstanceLock(path).__enter__()
    assert lock_holder(path) is None
    with InstanceLock(path):
        pass


def test_a_killed_engine_leaves_no_lock_and_its_ready_file_counts_for_nothing(tmp_path: Path) -> None:
    lock, ready = tmp_path / "lock", tmp_path / "engine.json"
    script = (
        "import os, sys; from pathlib import Path; from app.engine.instance import *\n"
        "InstanceLock(Path(sys.argv[1])).__enter__()\n"
        "write_ready(Path(sys.argv[2]), EngineInfo(os.getpid(), '1', 'a', 'b', 'c'))\n"
        "print('up', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, lock, ready], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    assert read_ready(ready, lock) == EngineInfo(process.pid, "1", "a", "b", "c")
    process.kill()
    process.communicate()
    assert ready.exists()
    assert read_ready(ready, lock) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_damaged_ready_file_is_no_engine(tmp_path: Path, text: str) -> None:
    (tmp_path / "engine.json").write_text(text)
    assert read_ready(tmp_path / "engine.json", tmp_path / "lock") is None


def test_ready_is_private(tmp_path: Path) -> None:
    write_ready(tmp_path / "engine.json", EngineInfo(1, "1", "a", "b", "c"))
    assert (tmp_path / "engine.json").stat().st_mode & 0o777 == 0o600


def test_whoever_asks_for_the_holder_does_not_keep_an_engine_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    asking = threading.Event()

    def ask() -> None:
        handle = os.open(path, os.O_RDWR)
        fcntl.flock(handle, fcntl.LOCK_SH)
        asking.set()
        time.sleep(0.3)
        os.close(handle)

    thread = threading.Thread(target=ask)
    thread.start()
    asking.wait()
    with InstanceLock(path):
        assert lock_holder(path) == os.getpid()
    thread.join()
