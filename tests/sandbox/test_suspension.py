"""Machines that stand still, in memory and on the disk, and go on."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.ports import Sandbox
from app.sandbox.machine import Machine
from tests.sandbox.conftest import Bench, request_for
from tests.sandbox.test_template import digest, the_template

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]
_SUMS = "cd /workspace && sync; sha256sum *.data /dev/shm/*.data; cat /proc/sys/kernel/random/boot_id"


def write(name: str) -> str:
    return f"head -c 3000000 /dev/urandom > /workspace/{name}.data; head -c 2000000 /dev/urandom > /dev/shm/{name}.data"


async def said(sandbox: Sandbox, command: str) -> str:
    result = await sandbox.run(command, timeout=60)
    assert result.exit_status == 0, result.output
    return result.output.decode()


def machine_of(bench: Bench, name: str) -> Machine:
    return Machine(name, bench.root / "m" / name, bench.root / "s")


async def ensured(bench: Bench, name: str) -> Sandbox:
    return await bench.host.ensure(request_for(bench.root, name), lambda _: None)


@pytest.fixture
async def name(bench: Bench) -> AsyncIterator[str]:
    yield "sleeper"
    await bench.host.destroy("sleeper")


async def test_what_a_clone_wrote_survives_being_suspended_twice_and_a_start_on_its_disk(
    bench: Bench, name: str
) -> None:
    template = the_template(bench)
    untouched = digest(template.ram), digest(template.disk), digest(template.state)
    machine = machine_of(bench, name)
    sandbox = await ensured(bench, name)
    await said(sandbox, write("one"))
    identity = await said(sandbox, "cat /etc/machine-id; hostname")
    for more in ("two", "three"):
        sums = await said(sandbox, _SUMS)
        await bench.host.suspend(name)
        assert await bench.host.state(name) == "suspended" and name not in await bench.host.names()
        assert machine.saved_memory.stat().st_mode & 0o777 == 0o600
        sandbox = await ensured(bench, name)
        assert sandbox.note == "resumed from disk" and not machine.saved_memory.exists()
        usage = await bench.host.usage(name)
        assert usage is not None and usage.memory_bytes < 320 * 2**20, "its zeros take no memory"
        assert await said(sandbox, _SUMS) == sums, "the same boot, disk and memory"
        assert abs(float(await said(sandbox, "date +%s.%N")) - time.time()) < 2
        await said(sandbox, write(more))
    on_disk = [line for line in (await said(sandbox, _SUMS)).splitlines() if " " in line and "/dev/shm" not in line]
    await bench.host.stop(name)
    assert await bench.host.state(name) == "stopped"
    sandbox = await ensured(bench, name)
    assert sandbox.note == "started on its own disk"
    assert (await said(sandbox, "cd /workspace; sha256sum *.data")).splitlines() == on_disk and len(on_disk) == 3
    assert await said(sandbox, "cat /etc/machine-id; hostname") == identity
    # A machine that was booted cold, as this one now is, can be suspended as well.
    boot = await said(sandbox, "cat /proc/sys/kernel/random/boot_id")
    await bench.host.suspend(name)
    sandbox = await ensured(bench, name)
    assert sandbox.note == "resumed from disk"
    assert await said(sandbox, "cat /proc/sys/kernel/random/boot_id") == boot
    assert (digest(template.ram), digest(template.disk), digest(template.state)) == untouched


async def test_a_memory_that_is_gone_on_from_twice_still_has_fresh_entropy(bench: Bench, name: str) -> None:
    sandbox = await ensured(bench, name)
    await bench.host.suspend(name)
    kept = machine_of(bench, name).saved_memory
    copy = kept.with_name("copy")
    os.link(kept, copy)
    random = "head -c 16 /dev/urandom | od -An -tx1"
    first = await said(await ensured(bench, name), random)
    shoot(bench, name)
    copy.rename(kept)
    sandbox = await ensured(bench, name)
    assert sandbox.note == "resumed from disk" and await said(sandbox, random) != first


def shoot(bench: Bench, name: str) -> None:
    os.kill(int((bench.root / "v" / "run" / "qemu" / f"{name}.pid").read_text()), 9)


async def test_a_saved_memory_that_is_damaged_is_no_obstacle(bench: Bench, name: str) -> None:
    sandbox = await ensured(bench, name)
    await said(sandbox, "echo kept > kept")
    await bench.host.suspend(name)
    saved = machine_of(bench, name).saved_memory
    os.truncate(saved, saved.stat().st_size // 2)
    sandbox = await ensured(bench, name)
    assert sandbox.note.startswith("started again on its own disk: its saved memory could not be used: ")
    assert await said(sandbox, "cat kept") == "kept\n"
    assert not saved.exists()


async def test_a_paused_machine_stands_still_and_is_adopted_as_it_was(bench: Bench, name: str) -> None:
    sandbox = await ensured(bench, name)
    await said(sandbox, "(while sleep 0.1; do date +%s.%N > /tmp/tick; done) > /dev/null 2>&1 &")
    boot = await said(sandbox, "cat /proc/sys/kernel/random/boot_id")
    await bench.host.pause(name)
    await bench.host.pause(name)
    assert await bench.host.state(name) == "paused" and name in await bench.host.names()
    before = await bench.host.usage(name)
    await asyncio.sleep(2)
    after = await bench.host.usage(name)
    assert before is not None and after is not None and after.cpu_seconds - before.cpu_seconds < 0.3
    await bench.host.resume(name)
    await bench.host.resume(name)
    assert await bench.host.state(name) == "running"
    assert abs(float(await said(sandbox, "date +%s.%N")) - time.time()) < 2, "the channel never broke"
    await bench.host.pause(name)
    sandbox = await ensured(bench, name)
    assert sandbox.note == "adopted" and await said(sandbox, "cat /proc/sys/kernel/random/boot_id") == boot
    await bench.host.pause(name)
    await bench.host.stop(name)
    assert await bench.host.state(name) == "stopped"


async def test_nothing_is_left_of_a_machine_that_is_destroyed(bench: Bench, name: str) -> None:
    def everything() -> list[Path]:
        return sorted(path for path in bench.root.rglob("*") if not path.is_relative_to(bench.root / "t"))

    def left() -> list[Path]:
        return [path for path in everything() if path not in before]

    before = everything()
    assert await bench.host.state(name) == "absent" and await bench.host.usage(name) is None
    await ensured(bench, name)
    await bench.host.destroy(name)
    assert left() == []
    await ensured(bench, name)
    await bench.host.suspend(name)
    found = await bench.host.usage(name)
    assert found is not None and found.memory_bytes == 0 and found.cpu_seconds == 0 and found.disk_bytes > 50 * 2**20
    await bench.host.destroy(name)
    assert left() == [] and await bench.host.state(name) == "absent"
    for verb in (bench.host.pause, bench.host.resume, bench.host.suspend, bench.host.stop):
        await verb(name)
