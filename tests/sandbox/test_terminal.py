"""A person's terminal in a real machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from app.domain.terminal import Terminal
from app.sandbox.channel import PseudoTerminal
from app.sandbox.terminal import pseudo_terminal
from tests.sandbox.conftest import Bench

PROMPT = "agent@bench-host"


class Person:
    """Types, and reads until words appear."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.seen = ""

    async def sees(self, words: str, seconds: float = 60) -> str:
        """What came until ``words`` did; what comes after them is kept for the next look."""
        async with asyncio.timeout(seconds):
            while words not in self.seen:
                data = await self.terminal.read()
                assert data, f"the terminal ended before {words!r}: {self.seen!r}"
                self.seen += data.decode("utf-8", "replace")
        found, _, self.seen = self.seen.partition(words)
        return found + words

    async def types(self, keys: str) -> None:
        await self.terminal.write(keys.encode())


@asynccontextmanager
async def shell(bench: Bench) -> AsyncIterator[Person]:
    terminal = await bench.sandbox.open_terminal(columns=100, rows=30)
    try:
        person = Person(terminal)
        await person.sees(PROMPT)
        yield person
    finally:
        await terminal.close()


async def whole(terminal: Terminal) -> bytes:
    output = b""
    async with asyncio.timeout(60):
        while data := await terminal.read():
            output += data
    return output


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


def test_a_terminal_the_machine_does_not_know_is_another_and_sizes_have_bounds() -> None:
    assert pseudo_terminal("xterm-kitty", 0, 10**9) == PseudoTerminal("xterm-256color", 1, 1000)
    assert pseudo_terminal("screen", 80, 24) == PseudoTerminal("screen", 80, 24)


@pytest.mark.vm
async def test_sizes_keys_and_jobs(bench: Bench) -> None:
    async with shell(bench) as person:
        await person.types("stty size; echo $TERM $PWD\r")
        await person.sees("30 100\r\nxterm-256color /workspace\r\n")
        await person.types("""bash -c "trap 'stty size; exit' WINCH; echo ready; sleep 99 & wait"; pkill sleep\r""")
        await person.sees("\rready\r\n")
        await person.terminal.resize(90, 20)
        await person.sees("20 90\r\n")
        await person.types("sh -c 'echo begun; exec sleep 1000'\r")
        await person.sees("\rbegun\r\n")
        await person.types("\x03")
        await person.sees(PROMPT)
        await person.types("echo $?; cat\r")
        await person.sees("130\r\n")
        await person.types("hello\r")
        await person.sees("hello\r\nhello\r\n")
        await person.types("\x1a")
        await person.sees("Stopped")
        await person.types("kill %1; exit 3\r")
        await whole(person.terminal)
        assert await person.terminal.wait() == 3


@pytest.mark.vm
async def test_programs_that_take_the_whole_screen(bench: Bench) -> None:
    async with shell(bench) as person:
        await person.types("vi note\r")
        await person.sees("[New")
        await person.types("ihello from vi\x1b:wq\r")
        await person.sees(PROMPT)
        await person.types("seq 500 | less\r")
        await person.sees("29")
        await person.types("Gq")
        await person.sees(PROMPT)
    assert await bench.sandbox.read_file("/workspace/note") == b"hello from vi\n"


@pytest.mark.vm
async def test_hanging_up_ends_what_runs_there_and_nobody_waits_for_it(bench: Bench) -> None:
    async with shell(bench) as person:
        await person.types("sh -c 'echo begun; exec sleep 4321'\r")
        await person.sees("\rbegun\r\n")
        assert await bench.sandbox.quiesce(2), "a person's terminal is no command of the agent"

    async def gone() -> bool:
        left = "pgrep -af 'sleep [4]321'; ls /sys/fs/cgroup/jobs /dev/pts | grep -E '^t-|^[0-9]'"
        found = (await bench.sandbox.run(left, timeout=30)).output
        print(found)
        return found == b""

    await until(gone, 60)


@pytest.mark.vm
async def test_a_command_of_root_and_one_on_pipes(bench: Bench) -> None:
    terminal = await bench.sandbox.open_terminal(columns=80, rows=24, user="root", command="id -un; tty; exit 4")
    assert (await whole(terminal)).startswith(b"root\r\n/dev/pts/")
    assert await terminal.wait() == 4
    terminal = await bench.sandbox.open_terminal(columns=80, rows=24, piped=True)
    await terminal.write(b"echo $((6 * 7)); tty >&2; exit 5\n")
    await terminal.end_input()
    assert await whole(terminal) == b"42\nnot a tty\n"
    assert await terminal.wait() == 5


@pytest.mark.vm
async def test_a_piped_program_that_reads_nothing_is_killed(bench: Bench) -> None:
    terminal = await bench.sandbox.open_terminal(columns=80, rows=24, piped=True, command="echo begun; exec sleep 4322")
    assert await terminal.read() == b"begun\n"
    await terminal.close()
    await terminal.close()
    assert await terminal.read() == b""
    assert (await bench.sandbox.run("pgrep -f 'sleep [4]322'", timeout=30)).output == b""


@pytest.mark.vm
async def test_what_was_left_in_the_background_does_not_hold_the_terminal(bench: Bench) -> None:
    async with shell(bench) as person:
        await person.types("sleep 4323 & exit\r")
        await whole(person.terminal)
        assert await person.terminal.wait() == 0
    await bench.sandbox.run("pkill -f 'sleep [4]323'", timeout=30)


@pytest.mark.vm
async def test_output_nobody_reads_stays_in_the_machine(bench: Bench) -> None:
    count = 8_000_000
    terminal = await bench.sandbox.open_terminal(columns=80, rows=24, command=f"head -c {count} /dev/zero")
    began = time.monotonic()
    assert (await bench.sandbox.run("echo here", timeout=30)).output == b"here\n"
    assert time.monotonic() - began < 10
    assert len(await whole(terminal)) == count
    assert await terminal.wait() == 0
