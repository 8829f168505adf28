"""The gateway with one open door, reached as from a machine: over a port that leads to the door's socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.ports import ActionResult
from app.gateway.door import DoorSpec, ModelUsage, Rehearsal
from app.gateway.server import Gateway

AGENT = "dev-agent"


@dataclass
class Door:
    """What went through an agent's door."""

    url: str = ""
    requests: list[ModelUsage] = field(default_factory=list)
    calls: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    hold: Callable[[], Awaitable[None]] | None = None
    """Awaited in each tool call."""

    async def perform(self, key: str, name: str, arguments: Mapping[str, object], call_id: str) -> ActionResult:
        self.calls.append((name, arguments))
        if self.hold is not None:
            await self.hold()
        return ActionResult(f"{name}: done for {key}")


@contextlib.asynccontextmanager
async def open_door(folder: Path, scenario: str) -> AsyncIterator[Door]:
    """Serve a rehearsal for AGENT until the end."""
    file = folder / "scenario.yaml"
    file.write_text(scenario, encoding="utf-8")
    door = Door()
    gateway = Gateway(door.perform, door.requests.append)
    socket = folder / "door"
    await gateway.open_door(DoorSpec("t/dev", "t", "r1", AGENT, socket, Rehearsal(file)))
    open_now: set[asyncio.StreamWriter] = set()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(str(socket))
        open_now.update((writer, inner_writer))
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        open_now.difference_update((writer, inner_writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0)
    door.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield door
    finally:
        server.close()
        for writer in list(open_now):
            writer.close()
        await gateway.stop()
        await asyncio.sleep(0)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
