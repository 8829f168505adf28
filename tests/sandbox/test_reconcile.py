"""What is cleared away when an engine starts, and what is not."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.domain.machines import Removed
from app.sandbox.machine import Machine
from app.sandbox.strays import end_process, machine_processes
from app.sandbox.usage import folder_bytes, machine_usage
from tests.sandbox.conftest import Bench, request_for


def machine_of(bench: Bench, name: str) -> Machine:
    return Machine(name, bench.root / "m" / name, bench.root / "s")


def others_of(bench: Bench) -> set[str]:
    """Machines of other tests on the shared host."""
    return {folder.name for folder in (bench.root / "m").iterdir()}


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def pretend_machine(*words: str) -> subprocess.Popen[bytes]:
    """A process with the command line of a machine."""
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    process = subprocess.Popen([*command, *words], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"\n"
    return process


@pytest.mark.vm
@pytest.mark.timeout(300)
async def test_orphans_go_and_what_is_kept_stays(bench: Bench) -> None:
    host, root, others = bench.host, bench.root, others_of(bench)
    for name in ("orphan", "asleep"):
        await host.ensure(request_for(root, name), lambda _: None)
    await host.suspend("asleep")
    stopped, gone = machine_of(bench, "stopped"), machine_of(bench, "gone")
    for machine in (stopped, gone):
        machine.folder.mkdir()
        shutil.copy(machine_of(bench, "bench").disk, machine.disk)
        bind(machine.control_socket)
    (stopped.folder / "memory.new").touch()
    unknown = [root / "m" / "notes", root / "m" / "text", root / "s" / "letter", root / "t" / ".other.build"]
    unknown[0].mkdir()
    for path in unknown[1:]:
        path.touch()
    bind(machine_of(bench, "bench").migration_socket)
    build, busy = root / "t" / ".template-1.build-x", root / "t" / ".template-2.build-x"
    aside = root / "t" / "template-unused"
    for folder in (build, busy, aside):
        folder.mkdir()
    (aside / "set-aside").touch()
    (root / "v" / "log" / "qemu" / "long-gone.log").touch()
    (root / "v" / "lib" / "qemu" / "domain-9999-long-gone").mkdir()
    stray = pretend_machine("-name", "guest=stray,debug-threads=on", "-x", f"file={root}/m/stray/disk.qcow2")
    with (root / "t" / ".template-2.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = await host.reconcile({*others, "asleep", "stopped"}, {"bench", "asleep", "stopped", "never"})
    stray.communicate()
    assert stray.returncode == -9
    assert {"asleep", "bench"} <= set(found.living) <= {"asleep", *others} and list(found.lost) == ["never", "stopped"]
    assert {(item.what, item.name) for item in found.removed} == {
        ("domain", "orphan"),
        ("process", f"stray ({stray.pid})"),
        ("disk", "gone"),
        ("disk", "orphan"),
        ("file", "stopped/memory.new"),
        ("file", "orphan.log"),
        ("file", "long-gone.log"),
        ("file", "domain-9999-long-gone"),
        ("file", build.name),
        ("file", aside.name),
        ("socket", stopped.control_socket.name),
        ("socket", gone.control_socket.name),
        ("socket", machine_of(bench, "bench").migration_socket.name),
    }
    assert all(item.why for item in found.removed)
    assert all(path.exists() for path in (*unknown, busy, stopped.disk))
    again = await host.reconcile({*others, "asleep", "stopped"}, {"bench"})
    assert [item.name for item in again.removed] == [busy.name]
    assert (await bench.sandbox.run("echo well", timeout=60)).output == b"well\n"
    assert (await host.ensure(request_for(root, "asleep"), lambda _: None)).note == "resumed from disk"
    for name in ("asleep", "stopped"):
        await host.destroy(name)
    shutil.rmtree(unknown[0])
    for path in unknown[1:]:
        path.unlink()


@pytest.mark.vm
@pytest.mark.timeout(300)
async def test_what_cannot_be_removed_does_not_keep_the_rest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, others = shutil.rmtree, others_of(bench)

    def stubborn(path: Path) -> None:
        if Path(path).name == "first":
            raise PermissionError(str(path))
        whole(path)

    for name in ("first", "second"):
        machine_of(bench, name).folder.mkdir()
        (machine_of(bench, name).folder / "machine.json").touch()
    with monkeypatch.context() as patched:
        patched.setattr("app.sandbox.reconcile.shutil.rmtree", stubborn)
        found = await bench.host.reconcile(others, ())
    assert [item for item in found.removed if item.what == "disk"] == [Removed("disk", "second", "no agent has it")]
    found = await bench.host.reconcile(others, ())
    assert [item.name for item in found.removed if item.what == "disk"] == ["first"]


@pytest.mark.vm
@pytest.mark.timeout(300)
async def test_usage_is_what_the_kernel_says(bench: Bench) -> None:
    before = await bench.host.usage("bench")
    await bench.sandbox.run("head -c 20000000 /dev/urandom > /var/tmp/filler; sync", timeout=60, user="root")
    after = await bench.host.usage("bench")
    assert before is not None and after is not None
    assert after.cpu_seconds > before.cpu_seconds > 0.1
    assert 20 * 2**20 < after.memory_bytes < 900 * 2**20
    assert after.disk_bytes - before.disk_bytes > 15 * 2**20
    await bench.sandbox.run("rm /var/tmp/filler", timeout=60, user="root")


def test_only_processes_of_our_folders_are_ours(tmp_path: Path) -> None:
    ours, others = tmp_path / "m", tmp_path / "m2"
    mine = pretend_machine("-name", "guest=a,debug-threads=on", f"file={ours}/a/disk")
    theirs = pretend_machine("-name", "guest=b,debug-threads=on", f"file={others}/b/disk")
    unnamed = pretend_machine(f"file={ours}/a/disk")
    try:
        assert machine_processes([ours]) == {mine.pid: "a"}
        assert not end_process(mine.pid, "b", [ours]) and not end_process(theirs.pid, "b", [ours])
        assert end_process(mine.pid, "a", [ours]) and mine.wait(10) == -9
        assert theirs.poll() is None and unnamed.poll() is None
    finally:
        for process in (mine, theirs, unnamed):
            process.kill()
            process.communicate()


def test_holes_take_no_room_and_a_process_that_ended_nothing(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**30)
    (tmp_path / "full").write_bytes(b"x" * 100_000)
    os.sync()
    assert 100_000 <= folder_bytes(tmp_path) < 200_000
    usage = machine_usage(tmp_path, 2**22 + 1)
    assert (usage.cpu_seconds, usage.memory_bytes) == (0.0, 0)
    assert machine_usage(tmp_path, os.getpid()).memory_bytes > 2**20
