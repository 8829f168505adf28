"""An engine process whose agents are API loops: the real SDKs and gateway, a scripted model, slow machines.

What begins and ends in a machine is written into a diary, so that a test can see what ran twice.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from app.config import Paths
from app.domain.machines import CommandResult, Notify, SandboxRequest, unheard
from app.domain.ports import Progress, Sandbox
from app.engine.supervisor import Engine, run_until_signalled
from app.runtimes.factory import make_runtime
from app.testing import FakeSandbox, succeeded
from tests.engine.scripted_engine import KeptDisks

SLOW_SECONDS = 3.0


class SlowSandbox(FakeSandbox):
    """Commands that begin with ``slow`` take their time."""

    def __init__(self, name: str, diary: Path) -> None:
        super().__init__(name)
        self._diary = diary

    async def run(self, command: str, **more: Any) -> CommandResult:
        """Written down when it begins and when it ends."""
        self._write(f"begun {command}")
        if command.startswith("slow"):
            await asyncio.sleep(SLOW_SECONDS)
        self._write(f"ended {command}")
        return succeeded(f"did {command}\n")

    def _write(self, line: str) -> None:
        with self._diary.open("a") as file:
            file.write(f"{line}\n")


class SlowHost(KeptDisks):
    """Machines of that kind."""

    def __init__(self, diary: Path) -> None:
        super().__init__(diary.with_name("disks"))
        self._diary = diary

    async def ensure(self, request: SandboxRequest, progress: Progress, notify: Notify = unheard) -> Sandbox:
        """One per name and engine."""
        await super().ensure(request, progress, notify)
        machine = self.machines[request.name]
        if not isinstance(machine, SlowSandbox):
            machine = self.machines[request.name] = SlowSandbox(request.name, self._diary)
        return machine


async def main(diary: Path) -> None:
    engine = Engine(Paths.from_environment(), make_host=lambda paths: SlowHost(diary), make_runtime=make_runtime)
    await run_until_signalled(engine)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[2])))
