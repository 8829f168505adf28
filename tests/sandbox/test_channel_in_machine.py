"""The SSH channel of a real machine under load, and when what carries it fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import string
import time
from collections.abc import Iterator

import pytest

from app.domain.errors import SandboxError
from app.sandbox import channel
from app.sandbox.machine import Machine
from app.sandbox.sandbox import LibvirtSandbox
from tests.sandbox.conftest import Bench, request_for

pytestmark = [pytest.mark.vm, pytest.mark.timeout(400)]

MEGABYTE = 1_000_000
AT_ONCE = string.ascii_letters[:50]


@pytest.fixture(scope="session")
def machine(bench: Bench) -> Machine:
    return Machine("bench", bench.root / "m" / "bench", bench.root / "s")


@contextlib.contextmanager
def standing_still(machine: Machine) -> Iterator[None]:
    qemu = int((machine.folder / "qemu.pid").read_text().split()[0])
    os.kill(qemu, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(qemu, signal.SIGCONT)


@pytest.mark.slow
async def test_fifty_commands_at_once_lose_and_mix_nothing(bench: Bench) -> None:
    async def one(letter: str) -> bool:
        command = f"head -c {MEGABYTE} /dev/zero | tr '\\0' {letter}"
        result = await bench.sandbox.run(command, timeout=300, output_limit=2 * MEGABYTE)
        return result.exit_status == 0 and result.output == letter.encode() * MEGABYTE

    async with asyncio.timeout(300):
        assert all(await asyncio.gather(*map(one, AT_ONCE)))


async def test_neither_a_flood_nor_a_deaf_command_holds_up_the_others(bench: Bench) -> None:
    flood = asyncio.create_task(bench.sandbox.run("yes", timeout=6, output_limit=10))
    deaf = asyncio.create_task(bench.sandbox.run("trap '' TERM; while :; do sleep 1; done", timeout=5))
    await asyncio.sleep(0.5)
    for _ in range(5):
        began = time.monotonic()
        assert (await bench.sandbox.run("echo here", timeout=30)).output == b"here\n"
        assert time.monotonic() - began < 10
    flooded = await flood
    assert flooded.timed_out and len(flooded.output) == 10 and flooded.dropped > MEGABYTE
    assert (await deaf).timed_out


async def test_when_the_ssh_server_dies_programs_end_and_the_next_command_has_another(bench: Bench) -> None:
    process = await bench.sandbox.open_process("cat")
    terminal = await bench.sandbox.open_terminal(columns=80, rows=24, command="echo -n up; cat")
    assert await terminal.read() == b"up"
    running = asyncio.create_task(bench.sandbox.run("sleep 1000", timeout=60))
    with contextlib.suppress(SandboxError):  # its own connection breaks
        await bench.sandbox.run("sudo pkill -KILL sshd", timeout=30)
    async with asyncio.timeout(20):
        assert await process.wait() is None
        assert await terminal.read() == b"" and await terminal.wait() is None
        with pytest.raises(SandboxError, match="closed"):
            await running
        result = await bench.sandbox.run("pgrep -x sleep || echo nothing runs on", timeout=20)
    assert result.output == b"nothing runs on\n"
    await process.terminate()


async def test_an_ssh_server_that_hangs_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.sandbox.run("true", timeout=30)
    stopping = asyncio.create_task(bench.sandbox.run("sudo pkill -STOP sshd; sleep 2", timeout=60))
    assert isinstance(bench.sandbox, LibvirtSandbox)
    jobs: object = None
    while not jobs:
        await asyncio.sleep(0.1)
        jobs = (await bench.sandbox.stats())["jobs"]
    assert await bench.sandbox.quiesce(30)
    monkeypatch.setattr(channel, "START_SECONDS", 3.0)
    with pytest.raises(SandboxError, match="does not answer"):
        await bench.sandbox.run("echo lost", timeout=30)
    with pytest.raises(SandboxError, match="closed"):
        await stopping
    monkeypatch.undo()
    assert (await bench.sandbox.run("echo here", timeout=30)).output == b"here\n"


async def test_a_machine_that_stood_still_goes_on_where_it_was(bench: Bench, machine: Machine) -> None:
    process = await bench.sandbox.open_process("cat")
    with standing_still(machine):
        process.stdin.write(b"while it stands\n")
        command = asyncio.create_task(bench.sandbox.run("echo after", timeout=30))
        await asyncio.sleep(2)
        assert not command.done()
    assert (await command).output == b"after\n"
    assert await asyncio.wait_for(process.stdout.readline(), 10) == b"while it stands\n"
    await process.terminate()


async def test_an_answer_is_not_lost_on_a_host_that_has_just_connected(bench: Bench) -> None:
    sandbox = await bench.host.ensure(request_for(bench.root, "late"), lambda _: None)
    try:
        await sandbox.close()
        path = Machine("late", bench.root / "m" / "late", bench.root / "s").control_socket
        for number in range(20):
            with socket.socket(socket.AF_UNIX) as host:
                host.settimeout(4)
                host.connect(str(path))
                host.sendall(b"\n" + json.dumps({"id": str(number), "op": "ping"}).encode() + b"\n")
                with host.makefile("rb") as lines:
                    assert json.loads(lines.readline())["id"] == str(number)
    finally:
        await bench.host.destroy("late")
