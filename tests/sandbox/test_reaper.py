"""Orphans are collected whatever they are called; children somebody waits for are left to him."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import os, signal, subprocess, sys, time
from app.sandbox.reaper import become_subreaper, reaping

def gone(pid):
    until = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        time.sleep(0.02)
    return not os.path.exists(f"/proc/{pid}")

become_subreaper()
# As libvirt does: a session whose leader ends at once; what is left of it comes to us.
orphan = int(subprocess.run(["setsid", "sh", "-c", "sleep 60 >&- 2>&- & echo $!"], stdout=-1, check=True).stdout)
ours = subprocess.Popen(["sh", "-c", "exit 7"])
leader = subprocess.Popen(["sh", "-c", "exit 8"], start_new_session=True)
time.sleep(0.3)
with reaping():
    os.kill(orphan, signal.SIGKILL)
    collected = gone(orphan)
print(collected, ours.wait(), leader.wait())
"""


def test_an_orphan_of_any_name_is_collected_and_children_are_not() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.split() == ["True", "7", "8"], done.stderr


def test_a_question_that_libvirt_left_with_qemu_is_found(tmp_path: Path) -> None:
    from app.sandbox.strays import PROBE, end_process, machine_processes

    # An interpreter with QEMU's words behind it: only the command line counts.
    words = ["-S", "-machine", "none,accel=tcg", "-qmp", f"unix:{tmp_path}/lib/qemu/qmp.monitor,server=on"]
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *words])
    try:
        time.sleep(0.1)
        assert machine_processes([tmp_path]) == {process.pid: PROBE}
        assert machine_processes([tmp_path / "other"]) == {}
        assert end_process(process.pid, PROBE, [tmp_path])
        assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
