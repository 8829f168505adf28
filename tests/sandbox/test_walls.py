"""The walls around QEMU itself, for the case that a guest takes it over."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from app.sandbox.emulator import Emulator
from app.sandbox.standing import backing_chain
from app.sandbox.walls import walls
from tests.sandbox.conftest import Bench, Pair, images_dir
from tests.sandbox.test_isolation import told

pytestmark = [pytest.mark.timeout(300)]
MIB = 2**20


def standing() -> set[str]:
    return {wall.name for wall in walls(images_dir()) if wall.on}


def qemu_of(bench: Bench, name: str) -> Path:
    """The machine's process below /proc."""
    return Path("/proc", (bench.root / "v" / "run" / "qemu" / f"{name}.pid").read_text().strip())


def test_each_wall_stands_or_says_why_not_and_what_helps() -> None:
    found = walls(images_dir())
    assert found[0].name == "priority"
    assert {"namespaces", "privileges", "files", "system calls", "templates"} <= {wall.name for wall in found}
    assert all(wall.why for wall in found)
    assert all(wall.remedy for wall in found if not wall.on and wall.name in ("namespaces", "files", "templates"))


@pytest.fixture
def emulator(tmp_path: Path) -> list[str]:
    """The script that libvirt starts, with ``sh`` where QEMU would be."""
    made = Emulator(tmp_path / "v", [images_dir()])
    made.prepare()
    settings = tmp_path / "v" / "emulator.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "emulator": "/bin/sh"}))
    return [made.path]


def started(emulator: list[str], own: Path, script: str) -> str:
    """What ``script`` writes in the place of the QEMU of a machine whose disk is ``own``."""
    disk = {"driver": "file", "filename": str(own), "node-name": "d"}
    words = ["-c", script, "-name", "guest=x,debug-threads=on", "-blockdev", json.dumps(disk)]
    words += ["-blockdev", json.dumps({"driver": "qcow2", "file": "d", "read-only": False})]
    done = subprocess.run([*emulator, *words], capture_output=True, text=True, check=False, timeout=30)
    return done.stdout + done.stderr


@pytest.mark.skipif("files" not in standing(), reason="no Landlock here")
def test_no_file_but_the_machines_own_can_be_opened(emulator: list[str], tmp_path: Path) -> None:
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "disk.qcow2").write_text(f"disk of {name}\n")
    own, other = tmp_path / "own" / "disk.qcow2", tmp_path / "other" / "disk.qcow2"
    secret = Path.home() / ".profile"
    said = started(
        emulator,
        own,
        f"cat {own}; cat {other}; echo x > {tmp_path}/other/new; echo y > {own.parent}/new; cat {own.parent}/new; "
        f"ls {tmp_path}; cat {secret} | head -c 5; echo z > {images_dir()}/z",
    )
    assert "disk of own\n" in said and "disk of other" not in said
    assert "\ny\n" in said and not (tmp_path / "other" / "new").exists() and not (images_dir() / "z").exists()
    assert said.count("denied") + said.count("No such file") >= 4, said


@pytest.mark.skipif("mounts" not in standing(), reason="no mount namespaces here")
def test_sockets_of_others_are_out_of_sight(
    emulator: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    look = f"cd {tmp_path}; test -d own && echo own; test -e door.s && echo door; ls -d /run /home /var /tmp/.X11-unix"
    with socket.socket(socket.AF_UNIX) as door:
        monkeypatch.chdir(tmp_path)  # the path may be too long for a socket
        door.bind("door.s")
        door.listen()
        said = started(emulator, tmp_path / "own" / "disk.qcow2", look)
    assert said.startswith("own\n"), said
    assert said.count("No such file or directory") == 4 and "door" not in said


@pytest.mark.skipif("namespaces" not in standing(), reason="no user namespaces here")
def test_there_is_no_network_and_no_power(emulator: list[str], tmp_path: Path) -> None:
    said = started(
        emulator, tmp_path / "disk.qcow2", "cat /proc/net/dev /proc/self/status; readlink /proc/self/ns/user"
    )
    interfaces = [line.split(":")[0].strip() for line in said.splitlines()[2:] if line.endswith(" 0") and ":" in line]
    assert interfaces == ["lo"]
    assert "CapEff:\t0000000000000000" in said and "CapBnd:\t0000000000000000" in said and "NoNewPrivs:\t1" in said
    assert os.readlink("/proc/self/ns/user") not in said


def test_questions_about_qemu_itself_pass_and_are_quick(tmp_path: Path) -> None:
    made = Emulator(tmp_path / "v", [images_dir()])
    made.prepare()
    before = Path(made.path).stat().st_mtime_ns
    begun = time.monotonic()
    said = subprocess.run([made.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("QEMU emulator version") and time.monotonic() - begun < 2
    made.prepare()
    assert Path(made.path).stat().st_mtime_ns == before, "libvirt would ask all its questions again"


@pytest.mark.vm
def test_a_running_machine_is_behind_all_of_them(pair: Pair) -> None:
    stand = standing()
    for name in ("one", "two"):
        qemu = qemu_of(pair.bench, name)
        status = dict(line.split(":\t", 1) for line in (qemu / "status").read_text().splitlines() if ":\t" in line)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
        assert (qemu / "oom_score_adj").read_text() == "300\n"
        if "namespaces" in stand:
            assert status["CapEff"] == "0000000000000000" == status["CapBnd"]
            for space in ("user", "net", "ipc"):
                assert os.readlink(qemu / "ns" / space) != os.readlink(f"/proc/self/ns/{space}")
            interfaces = (qemu / "net" / "dev").read_text().splitlines()[2:]
            assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
        assert " nice 5" in (qemu / "autogroup").read_text()
        if "templates" in stand:
            (handle,) = [file for file in (qemu / "fd").iterdir() if os.readlink(file).endswith("/ram")]
            flags = int((qemu / "fdinfo" / handle.name).read_text().split("flags:")[1].split()[0], 8)
            assert flags & os.O_ACCMODE == os.O_RDONLY, "the template's memory cannot be written to"


def pss(bench: Bench, name: str) -> int:
    for line in (qemu_of(bench, name) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def template_digest(bench: Bench) -> str:
    """Of the memory of the template that machine one was cloned from."""
    template = backing_chain(bench.root / "m" / "one" / "disk.qcow2")[0].parent
    with (template / "ram").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.vm
@pytest.mark.skipif("templates" not in standing(), reason="no compiler here")
async def test_memory_that_is_freed_goes_back_and_the_template_stays_whole(pair: Pair) -> None:
    digest = template_digest(pair.bench)
    hog = await pair.one.open_process("python3 -c \"b = b'x' * (300 * 2**20); print('full', flush=True); input()\"")
    try:
        assert await hog.stdout.readline() == b"full\n"
        full = pss(pair.bench, "one")
        hog.stdin.write(b"\n")
        assert await hog.wait() == 0
    finally:
        await hog.terminate()
    # Not compared with what it was before: pages that other tests freed in small pieces may have been used again.
    deadline = time.monotonic() + 20
    while full - (now := pss(pair.bench, "one")) < 200 * MIB:
        assert time.monotonic() < deadline, (full // MIB, now // MIB)
        await asyncio.sleep(0.2)
    print(f"PSS full {full // MIB} MiB, freed {now // MIB} MiB")
    assert template_digest(pair.bench) == digest
    assert (await pair.two.run("echo fine; cat /usr/bin/git | md5sum | wc -c", timeout=60)).output == b"fine\n36\n"


@pytest.mark.vm
async def test_disk_space_that_is_freed_goes_back(pair: Pair) -> None:
    disk = pair.bench.root / "m" / "one" / "disk.qcow2"
    before = disk.stat().st_blocks * 512
    await told(pair.one, "head -c 150M /dev/urandom > /workspace/big; sync")
    full = disk.stat().st_blocks * 512
    assert full - before > 120 * MIB
    await told(pair.one, "rm /workspace/big; sync; fstrim /")
    assert disk.stat().st_blocks * 512 - before < 60 * MIB


@pytest.mark.vm
async def test_the_log_of_the_console_does_not_grow_for_ever(pair: Pair) -> None:
    from app.sandbox.machine import Machine

    machine = Machine("one", pair.bench.root / "m" / "one", pair.bench.root / "s")
    with machine.console_log.open("ab") as log:  # as QEMU does, but emulated serial ports take a minute for this
        log.write(b"y\n" * 3 * MIB)
    assert machine.console_log.stat().st_size > 4 * MIB
    assert machine.trim_console() and not machine.trim_console()
    await told(pair.one, "echo afterwards > /dev/ttyS0")
    assert 0 < machine.console_log.stat().st_size < 1000
