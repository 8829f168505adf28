"""An engine as far as machines go: reconciles, keeps one machine, makes and destroys others. Run by test_soak.

Says each thing it has done as a line of JSON, and goes on until it is killed, or for as many cycles as it is told.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from app.domain.errors import SandboxError
from app.domain.ports import Sandbox, SandboxHost
from tests.sandbox.conftest import make_host, request_for

KEPT = "kept"
_SECONDS = 60.0


def say(did: str, **more: object) -> None:
    print(json.dumps({"did": did, **more}), flush=True)


class Engine:
    """``host`` is a machine room of its own; ``work`` says what: run, suspend (too), or template (a new one)."""

    def __init__(self, root: Path, host: SandboxHost, work: str) -> None:
        self._root, self._host, self._work = root, host, work

    async def begin(self) -> None:
        await self._host.start()
        kept = [] if self._work == "template" else [KEPT]
        found = await self._host.reconcile(kept, kept)
        if not kept:  # nothing stands on the template any more: it is built again
            for template in (self._root / "t").glob("template-*"):
                shutil.rmtree(template)
        say("reconcile", removed=[f"{item.what} {item.name}: {item.why}" for item in found.removed])

    async def cycle(self, number: int) -> None:
        """Create, run, destroy; a machine that is lost on the way is destroyed as well."""
        name = f"passing-{number % 3}"
        try:
            await self._remember(number)
            await self._pass(name)
            say("cycle")
        except SandboxError as error:
            say("trouble", why=str(error))
        finally:
            await self._host.destroy(name)

    async def end(self) -> None:
        """As when the project is removed: nothing shall be left."""
        await self._host.destroy(KEPT)
        say("end", names=await self._host.names())
        await self._host.close()

    async def _pass(self, name: str) -> None:
        sandbox = await self._ensure(name)
        say("create")
        await self._run(sandbox, "echo here > file")
        if self._work == "suspend":
            await self._host.suspend(name)
            say("suspend")
            sandbox = await self._ensure(name)
        if await self._run(sandbox, "cat file") != "here\n":
            say("damage", what=f"{name} lost its file")

    async def _remember(self, number: int) -> None:
        """What was on the disk before the last crash is on it now."""
        sandbox = await self._ensure(KEPT)
        lines = (await self._run(sandbox, "touch log; cat log")).splitlines()
        if lines != sorted(lines, key=int):
            say("damage", what=f"the log of {KEPT} is {lines}")
        await self._run(sandbox, f"echo {int(lines[-1]) + 1 if lines else number} >> log; sync log")

    async def _ensure(self, name: str) -> Sandbox:
        return await self._host.ensure(request_for(self._root, name), lambda words: say("progress", words=words))

    async def _run(self, sandbox: Sandbox, command: str) -> str:
        result = await sandbox.run(command, timeout=_SECONDS)
        if result.exit_status != 0:
            raise SandboxError(f"{command!r} ended with {result.exit_status}", operation="soak")
        return result.output.decode()


async def main(root: Path, work: str, cycles: Iterable[int]) -> None:
    host = make_host(root, quiesce_seconds=5, templates=root / "t")
    engine = Engine(root, host, work)
    await engine.begin()
    for number in cycles:
        await engine.cycle(number)
    await engine.end()


if __name__ == "__main__":
    LIMIT = int(sys.argv[3])
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], range(LIMIT) if LIMIT else itertools.count()))
