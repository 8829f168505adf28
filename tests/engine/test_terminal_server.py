"""The terminal server over its real socket; the machines behind it are scripted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from app.activities.terminals import open_terminal
from app.domain.machines import MachineState
from app.domain.terminal import Terminal, TerminalWish
from app.engine.terminal_server import TerminalServer
from app.testing import FakeSandbox, FakeTerminal

PIECE = b"x" * 65536


class Flood(FakeTerminal):
    """Says much, hears nothing."""

    def __init__(self) -> None:
        super().__init__(80, 24)
        self.said = 0
        self.closed = asyncio.Event()

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        self.said += len(PIECE)
        return PIECE

    async def write(self, data: bytes) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed.set()


class Machines:
    """Who has a machine, and what its terminals are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wishes: list[TerminalWish] = []
        self.flood = Flood()

    async def open(self, wish: TerminalWish) -> Terminal:
        self.wishes.append(wish)
        if wish.agent == "flood":
            return self.flood
        states: dict[str, MachineState] = {"absent": "absent", "paused": "paused", "stopped": "stopped"}
        return await open_terminal(wish, FakeSandbox(wish.agent), states.get(wish.agent, "running"))

    @asynccontextmanager
    async def asks(self, agent: str, **wish: object) -> AsyncIterator[ClientConnection]:
        path = str(self.path)
        async with unix_connect(path, proxy=None, compression=None, max_queue=1, close_timeout=0.2) as connection:
            await connection.send(json.dumps({"fleet": "f", "agent": agent, **wish}))
            yield connection

    async def refused(self, agent: str) -> dict[str, object]:
        async with self.asks(agent) as connection:
            found = json.loads(await connection.recv())
            assert isinstance(found, dict)
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            return found


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="skerry-", dir="/tmp") as folder:
        yield Path(folder, "terminals")


@pytest.fixture
async def machines(socket_path: Path) -> AsyncIterator[Machines]:
    machines = Machines(socket_path)
    async with TerminalServer(socket_path, machines.open):
        yield machines


async def test_bytes_sizes_and_the_exit_status(machines: Machines) -> None:
    async with machines.asks("alice", columns=100, rows=30, user="root", term="screen") as connection:
        assert await connection.recv() == b"100x30\r\n"
        await connection.send(b"ls\r")
        assert await connection.recv() == b"ls\r"
        await connection.send(json.dumps({"resize": {"columns": 90, "rows": 20}}))
        assert await connection.recv() == b"90x20\r\n"
        await connection.send(b"\x04")
        assert json.loads(await connection.recv())["exit"] == 0
        await connection.wait_closed()
    assert (machines.wishes[0].user, machines.wishes[0].term) == ("root", "screen")


@pytest.mark.parametrize(
    ("agent", "code", "words", "remedy"),
    [
        ("absent", "not_found", "absent has no machine yet", "skerry run"),
        ("stopped", "sandbox", "the machine of stopped is stopped", "skerry run"),
        ("paused", "sandbox", "the machine of paused is paused", "resume"),
    ],
)
async def test_a_machine_that_is_not_up_is_named_with_a_remedy(
    machines: Machines, agent: str, code: str, words: str, remedy: str
) -> None:
    answer = await machines.refused(agent)
    assert (answer["code"], answer["error"]) == (code, words)
    assert remedy in str(answer["hint"])


@pytest.mark.parametrize("first", ["", "[]", "{}", '{"fleet": "f", "agent": "a", "shell": 1}', b"\xff\xfe", '{"fleet"'])
async def test_a_first_message_that_makes_no_sense_is_refused(machines: Machines, first: str | bytes) -> None:
    async with unix_connect(str(machines.path), proxy=None) as connection:
        await connection.send(first)
        assert "does not understand" in json.loads(await connection.recv())["error"]
    assert machines.wishes == []


async def test_a_later_message_that_makes_no_sense_hangs_up(machines: Machines) -> None:
    async with machines.asks("flood") as connection:
        await connection.send('{"resize": {"columns": -1, "rows": "wide"}}')
        await asyncio.wait_for(machines.flood.closed.wait(), 10)
        with pytest.raises(ConnectionClosed):
            while True:
                await connection.recv()


async def test_who_does_not_read_costs_nothing_and_holds_nobody_up(machines: Machines) -> None:
    async with machines.asks("flood"):
        before = -1
        while before != machines.flood.said:
            before = machines.flood.said
            await asyncio.sleep(0.2)
        assert before < 4_000_000
        async with machines.asks("alice") as other:
            assert await other.recv() == b"80x24\r\n"
    await asyncio.wait_for(machines.flood.closed.wait(), 10)


async def test_who_reads_gets_all_of_it(machines: Machines) -> None:
    async with machines.asks("flood") as connection:
        for _ in range(3200):  # 200 MB
            assert await connection.recv() == PIECE
        assert machines.flood.said < 3200 * len(PIECE) + 4_000_000


async def test_keys_the_machine_does_not_take_are_not_piled_up(machines: Machines) -> None:
    async with machines.asks("flood") as connection:
        sent = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    await connection.send(PIECE)
                    sent += len(PIECE)
        assert sent < 4_000_000
        connection.transport.abort()
    await asyncio.wait_for(machines.flood.closed.wait(), 10)


async def test_hanging_up_closes_the_terminal(machines: Machines) -> None:
    async with machines.asks("flood") as connection:
        await connection.recv()
    await asyncio.wait_for(machines.flood.closed.wait(), 10)


async def test_an_engine_that_stops_says_so(socket_path: Path) -> None:
    machines = Machines(socket_path)
    async with TerminalServer(socket_path, machines.open):
        connection = await unix_connect(str(socket_path), proxy=None)
        await connection.send('{"fleet": "f", "agent": "alice"}')
        assert await connection.recv() == b"80x24\r\n"
    said = json.loads(await connection.recv())
    assert (said["code"], said["error"]) == ("engine", "the engine has stopped")
    await connection.wait_closed()
    assert not socket_path.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_refused(machines: Machines) -> None:
    machines.path.parent.chmod(0o755)
    machines.path.chmod(0o666)
    program = (
        "import os, sys, socket; s = socket.socket(socket.AF_UNIX); os.setuid(65534); s.connect(sys.argv[1]);"
        "s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n');"
        "sys.stdout.write(s.recv(999).decode())"
    )
    command = [sys.executable, "-c", program, str(machines.path)]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("HTTP/1.1 403 ")
    assert machines.wishes == []
