"""The engine after the one that crashed: says as JSON what it finds. Run by test_adoption."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from app.domain.errors import SkerryError
from tests.sandbox.conftest import make_host, request_for


async def main(root: Path, verb: str) -> dict[str, object]:
    host = make_host(root)
    try:
        await host.start()
    except SkerryError as error:
        return {"error": str(error)}
    if verb == "destroy":
        await host.destroy("orphan")
        return {"names": await host.names(), "processes": processes(root)}
    sandbox = await host.ensure(request_for(root, "orphan"), lambda _: None)
    found: dict[str, object] = {"note": sandbox.note, "processes": processes(root)}
    found["kept"] = (await sandbox.run("cat kept", timeout=30)).output.decode()
    found["log"] = (await sandbox.run("cat log", timeout=30)).output.decode()
    found["left"] = (await sandbox.run("pgrep -u agent -x 'cat|sleep'", timeout=30)).output.decode()
    await sandbox.close()
    await host.close()
    return found


def processes(root: Path) -> int:
    """How many QEMUs use this folder."""
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            count += b"qemu-system" in command.split(b"\0")[0] and str(root).encode() in command
    return count


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))))
