"""The engine as the product has it, but machines are made of dictionaries and agents of a script. Started by chaos."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app.chaos.agents import Agents
from app.chaos.plan import Plan
from app.config import Paths
from app.domain.machines import MachineState, Notify, SandboxRequest, unheard
from app.domain.ports import Progress, Sandbox
from app.engine.supervisor import Engine, run_until_signalled
from app.testing import FakeSandboxHost, ScriptedRuntime


class KeptDisks(FakeSandboxHost):
    """Its machines end with the engine, their disks do not."""

    def __init__(self, disks: Path) -> None:
        super().__init__()
        self._disks = disks

    async def state(self, name: str) -> MachineState:
        """A machine this engine has not seen is off when it has a disk."""
        found = await super().state(name)
        return "stopped" if found == "absent" and (self._disks / name).exists() else found

    async def ensure(self, request: SandboxRequest, progress: Progress, notify: Notify = unheard) -> Sandbox:
        """With a disk that stays."""
        self._disks.mkdir(exist_ok=True)
        (self._disks / request.name).touch()
        return await super().ensure(request, progress, notify)

    async def destroy(self, name: str) -> None:
        """The disk, too."""
        (self._disks / name).unlink(missing_ok=True)
        await super().destroy(name)


async def main(home: Path, fleet: str, plan: Plan) -> None:
    """Run until signalled, or killed."""
    paths = Paths.from_environment()
    agents = Agents(plan, paths, fleet, home / "diaries")
    engine = Engine(
        paths,
        make_host=lambda paths: KeptDisks(home / "disks"),
        make_runtime=lambda kind: ScriptedRuntime(agents.play),
    )
    await run_until_signalled(engine)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Plan(*(int(word) for word in sys.argv[3:]))))
