"""One running machine, as ``app.domain.ports.Sandbox`` promises it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from app.domain.errors import SandboxError, SandboxLost
from app.domain.ports import CommandResult, GuestProcess, GuestUser, MirrorReport, OutputSink
from app.sandbox.channel import Channel
from app.sandbox.control_port import ControlPort
from app.sandbox.jobs import Job, Jobs
from app.sandbox.shell import Shell
from app.sandbox.threads import in_thread
from app.sandbox.workspace import Workspace

_ANSWER_SECONDS = 15.0
_CHECKS, _CHECK_INTERVAL = 4, 0.1


class LibvirtSandbox:
    """Composed of its two channels; ``alive`` asks the hypervisor whether the machine is still there."""

    def __init__(
        self,
        name: str,
        note: str,
        control: ControlPort,
        channel: Channel,
        mirror_manifest: Path,
        alive: Callable[[], bool],
    ) -> None:
        self.name, self.note = name, note
        self._control, self._channel, self._alive = control, channel, alive
        self._jobs = Jobs(channel, control)
        self._shell, self._workspace = Shell(self._jobs), Workspace(self._jobs, mirror_manifest)

    async def run(
        self,
        command: str,
        *,
        timeout: float,
        cwd: str = "/workspace",
        env: Mapping[str, str] | None = None,
        user: GuestUser = "agent",
        on_output: OutputSink | None = None,
        output_limit: int = 262_144,
    ) -> CommandResult:
        """See ``Sandbox.run``."""
        async with self._watched():
            return await self._shell.run(Job(command, cwd, env or {}, user), timeout, on_output, output_limit)

    async def open_process(
        self,
        command: str,
        *,
        cwd: str = "/workspace",
        env: Mapping[str, str] | None = None,
        user: GuestUser = "agent",
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> GuestProcess:
        """See ``Sandbox.open_process``."""
        async with self._watched():
            return await self._shell.open_process(Job(command, cwd, env or {}, user, "p"), on_stderr)

    async def write_file(self, path: str, data: bytes, *, mode: int = 0o644, user: GuestUser = "agent") -> None:
        """See ``Sandbox.write_file``."""
        async with self._watched():
            await self._shell.write_file(path, data, mode, user)

    async def read_file(self, path: str, *, limit: int = 1_048_576) -> bytes:
        """See ``Sandbox.read_file``."""
        async with self._watched():
            return await self._shell.read_file(path, limit)

    async def push_workspace(self, source: Path) -> int:
        """See ``Sandbox.push_workspace``; a file that is newer in the machine stays."""
        async with self._watched():
            return await in_thread(self._workspace.push, source)

    async def mirror_workspace(self, destination: Path) -> MirrorReport:
        """See ``Sandbox.mirror_workspace``; ``.git`` stays in the machine."""
        async with self._watched():
            return await in_thread(self._workspace.mirror, destination)

    async def quiesce(self, timeout: float) -> bool:
        """See ``Sandbox.quiesce``."""
        async with self._watched():
            answer = await in_thread(self._control.request, "quiesce", timeout + _ANSWER_SECONDS, timeout=timeout)
            return not answer.get("busy")

    async def settle(self) -> None:
        """Have all that was written on the disk."""
        async with self._watched():
            await in_thread(self._control.request, "sync", _ANSWER_SECONDS * 4)

    async def stats(self) -> Mapping[str, object]:
        """Memory, disk, load and jobs as the machine reports them."""
        async with self._watched():
            return await in_thread(self._control.request, "stats", _ANSWER_SECONDS)

    def right_clock(self) -> None:
        """Set the machine's clock to ours; for a thread. Raises SandboxError."""
        self._control.request("clock", _ANSWER_SECONDS, time=time.time())

    async def close(self) -> None:
        """See ``Sandbox.close``."""
        await in_thread(self.let_go)

    def let_go(self) -> None:
        """``close`` for a thread."""
        self._channel.close()
        self._control.close()

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        try:
            yield
        except SandboxLost:
            raise
        except SandboxError as error:
            if await self._is_lost():
                raise SandboxLost(f"{self.name}: the machine is gone", operation=error.operation) from error
            raise

    async def _is_lost(self) -> bool:
        """The channel of a dying machine breaks a moment before the hypervisor knows."""
        for _ in range(_CHECKS):
            if not await in_thread(self._alive):
                return True
            await asyncio.sleep(_CHECK_INTERVAL)
        return False
