"""A process that other commands take for the engine: one real machine, and the real terminal server.

Given a project's fleet; the machine is that of ``dev-agent``. Says ``ready`` when it can be used, ends on TERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from app.activities.member import machine_name
from app.activities.terminals import open_terminal
from app.config import Paths
from app.domain.machines import SandboxRequest
from app.domain.terminal import Terminal, TerminalWish
from app.engine.instance import EngineInfo, InstanceLock, write_ready
from app.engine.terminal_server import TerminalServer
from app.sandbox.image import ImageBuilder
from app.sandbox.libvirt_host import LibvirtHost
from app.sandbox.packs import PackBuilder

AGENT = "dev-agent"


async def main(fleet: str) -> None:
    paths = Paths.from_environment()
    paths.prepare()
    host = LibvirtHost(
        machines=paths.machines,
        sockets=paths.machine_sockets,
        libvirt_root=paths.libvirt_root,
        images=ImageBuilder(paths.images, paths.recipes),
        packs=PackBuilder(paths.images, paths.packs),
        templates=paths.data / "templates",
    )
    name, stop = machine_name(fleet, AGENT), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await host.start()
    sandbox = await host.ensure(SandboxRequest(name, AGENT, "base", (), 1, 512, 4, paths.door(name)), lambda _: None)

    async def opened(wish: TerminalWish) -> Terminal:
        known = wish.agent == AGENT
        return await open_terminal(wish, sandbox if known else None, "running" if known else "stopped")

    with InstanceLock(paths.engine_lock):
        async with TerminalServer(paths.terminals, opened):
            write_ready(paths.engine_ready, EngineInfo(os.getpid(), "test", "127.0.0.1:1", "http://127.0.0.1:1", ""))
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await stop.wait()
        paths.engine_ready.unlink()
    await host.destroy(name)
    await host.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
