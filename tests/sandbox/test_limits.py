"""Limits, each exceeded: the machine says so, and this host, the machine itself and its neighbour go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from app.domain.events import LimitName
from app.domain.machines import Notice
from app.sandbox.process import LINE_LIMIT
from tests.sandbox.conftest import Bench, Pair, request_for
from tests.sandbox.test_isolation import resident, told

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]
_SECONDS = 40.0


async def notice(pair: Pair, limit: LimitName, about: str = "") -> Notice:
    """What machine one told of a limit; waits for it."""
    deadline = time.monotonic() + _SECONDS
    while not (found := [n for n in pair.notices["one"] if n.limit == limit and about in n.detail]):
        assert time.monotonic() < deadline, (limit, pair.notices["one"])
        await asyncio.sleep(0.1)
    return found[-1]


@pytest.fixture(autouse=True)
async def healthy(pair: Pair) -> AsyncIterator[None]:
    """Before and after each excess both machines answer, and the neighbour was told of nothing."""
    yield
    begun = time.monotonic()
    answers = await asyncio.gather(*[told(sandbox, "echo fine") for sandbox in (pair.one, pair.two)])
    assert answers == ["fine\n", "fine\n"] and time.monotonic() - begun < 15
    assert not pair.notices["two"]


async def until(condition: Callable[[], bool], seconds: float = _SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_a_fork_bomb_meets_its_limit_and_can_be_ended(pair: Pair) -> None:
    bomb = asyncio.ensure_future(pair.one.run("b() { b | b & }; b; sleep 60", timeout=60, output_limit=1000))
    said = await notice(pair, "processes")
    assert "200 processes" in said.detail
    begun = time.monotonic()
    assert (await pair.two.run("echo fine", timeout=30)).output == b"fine\n"
    assert time.monotonic() - begun < 10
    bomb.cancel()
    begun = time.monotonic()
    while int(await told(pair.one, "read left < /sys/fs/cgroup/jobs/pids.current; echo $left")) > 20:
        assert time.monotonic() - begun < _SECONDS, "it goes on"
        await asyncio.sleep(0.3)


async def test_a_memory_hog_is_killed_alone(pair: Pair) -> None:
    program = await pair.one.open_process("exec cat")
    hog = "python3 -c \"b = bytearray()\nwhile True: b += b'x' * 2**24\""
    result = await pair.one.run(hog, timeout=60)
    assert result.exit_status == 137
    said = await notice(pair, "memory")
    assert "python3" in said.detail and "MiB" in said.detail
    program.stdin.write(b"still here\n")
    assert await program.stdout.readline() == b"still here\n"
    await program.terminate()


async def test_a_full_disk_stops_the_writer_only(pair: Pair) -> None:
    fill = "fallocate -l $(( ($(stat -f -c %a /) - 2000) * 4096 )) fill; cat /dev/zero > rest"
    result = await pair.one.run(fill, timeout=90)
    assert result.exit_status == 1 and b"No space left" in result.output
    assert "is full" in (await notice(pair, "disk")).detail
    await pair.one.write_file("/run/note", b"root can still work", user="root")
    assert (await pair.one.run("rm fill rest; echo x > y; cat y", timeout=60)).output == b"x\n"


async def test_a_command_of_the_program_ends_when_its_time_is_up(pair: Pair) -> None:
    """It ignores TERM, and has children that left its session and its parents; the program itself lives on."""
    command = (
        "trap '' TERM; setsid bash -c 'trap \"\" TERM; exec -a hidden sleep 500' & "
        "(setsid bash -c 'exec -a orphan sleep 500' &) ; exec -a stubborn sleep 500"
    )
    await pair.one.write_file("/workspace/command.sh", command.encode())
    script = "bash /workspace/command.sh; echo ended; read line; echo $line"
    program = await pair.one.open_process(script)
    line = await asyncio.wait_for(program.stdout.readline(), 60)
    assert line == b"ended\n"
    assert "stubborn" in (await notice(pair, "command_time", "stubborn")).detail
    deadline = time.monotonic() + _SECONDS
    while (await pair.one.run("pgrep -x sleep", timeout=30)).output:  # the others end with it, not before it is told
        assert time.monotonic() < deadline
    program.stdin.write(b"on\n")
    assert await program.stdout.readline() == b"on\n", "the agent's program is not a command"
    await program.terminate()


async def test_a_command_of_ours_that_ignores_term_is_killed(pair: Pair) -> None:
    result = await pair.one.run("trap '' TERM; while :; do sleep 1; done", timeout=2)
    assert result.timed_out and result.exit_status is None and result.seconds < 20
    assert "ended after 2 s" in (await notice(pair, "command_time", "trap")).detail


@pytest.mark.parametrize("program", ["yes", "tr '\\0' x < /dev/zero"], ids=["endless lines", "one endless line"])
async def test_endless_output_is_dropped_and_counted(pair: Pair, program: str) -> None:
    before = resident()
    result = await pair.one.run(program, timeout=4, output_limit=65536)
    assert len(result.output) == 65536 and result.dropped > 2**20 and result.timed_out
    assert resident() - before < 32 * 2**20
    assert "were dropped" in (await notice(pair, "output", program[:3])).detail


async def test_a_program_that_writes_a_line_without_end_is_ended(pair: Pair) -> None:
    before, taken = resident(), 0
    program = await pair.one.open_process("exec tr '\\0' x < /dev/zero")
    while data := await asyncio.wait_for(program.stdout.read(2**20), 120):
        taken += len(data)
    assert LINE_LIMIT - 65536 <= taken <= LINE_LIMIT
    assert resident() - before < 100 * 2**20
    assert "line longer than" in (await notice(pair, "output", "program")).detail
    assert await asyncio.wait_for(program.wait(), 30) != 0
    await program.terminate()


async def test_a_busy_machine_leaves_the_other_its_share(pair: Pair) -> None:
    busy = asyncio.ensure_future(pair.one.run("for i in 1 2 3 4; do while :; do :; done & done; wait", timeout=8))
    await asyncio.sleep(1)
    begun = time.monotonic()
    for _ in range(5):
        assert (await pair.two.run("echo fine", timeout=30)).output == b"fine\n"
    assert time.monotonic() - begun < 10
    assert (await busy).timed_out
    assert await told(pair.one, "nproc") == "1\n"


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """A file system of its own at ``folder``; gives what sets its size."""
    folder.mkdir(parents=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200M,mode=700", "skerry", str(folder)], check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield lambda size: void(subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True))
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def void(_: object) -> None:
    """What was done counts, not what it gave."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
async def test_a_full_disk_of_this_host_stops_the_machine_until_there_is_room(bench: Bench) -> None:
    heard: list[Notice] = []

    async def told_of(words: str) -> None:
        await until(lambda: any(notice.limit == "disk" and words in notice.detail for notice in heard))

    with small_disk(bench.root / "m" / "full") as resize:
        sandbox = await bench.host.ensure(request_for(bench.root, "full"), lambda _: None, heard.append)
        resize("20M")
        writing = asyncio.ensure_future(sandbox.run("head -c 60M /dev/urandom > big; sync; wc -c big", timeout=90))
        await told_of("stands still until you free")
        assert not writing.done()
        resize("1200M")
        await told_of("has room again")
        assert (await writing).output == b"62914560 big\n"
        await bench.host.destroy("full")
