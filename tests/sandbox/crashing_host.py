"""An engine that starts a machine, starts commands in it and never ends: the test kills it. Run by test_adoption."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.sandbox.conftest import make_host, request_for


async def main(root: Path) -> None:
    host = make_host(root)
    await host.start()
    sandbox = await host.ensure(request_for(root, "orphan"), lambda _: None)
    await sandbox.write_file("/workspace/kept", b"kept\n")
    await sandbox.run("sync", timeout=60)
    asyncio.get_running_loop().create_task(
        sandbox.run("sleep 3; echo once >> /workspace/log", timeout=60),
    )
    process = await sandbox.open_process("echo up; exec cat")
    await process.stdout.readline()
    print("ready", flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
