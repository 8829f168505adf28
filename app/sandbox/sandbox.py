"""One running machine, as ``app.domain.ports.Sandbox`` promises it."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from textwrap import shorten

from app.domain.errors import SandboxError, SandboxLost
from app.domain.machines import CommandResult, MirrorReport, Notice, Notify, unheard
from app.domain.ports import GuestProcess, GuestUser, OutputSink
from app.domain.terminal import Terminal
from app.sandbox.channel import Channel
from app.sandbox.control_port import ControlPort
from app.sandbox.files import receive_file, send_file
from app.sandbox.jobs import Job, Jobs
from app.sandbox.shell import Shell
from app.sandbox.terminal import DEFAULT_TERM, SshTerminal, pseudo_terminal
from app.sandbox.threads import in_thread
from app.sandbox.transfer import Transfer, TransferDisk
from app.sandbox.workspace import Workspace

_ANSWER_SECONDS = 15.0
_WORDS = 200
_CHECKS, _CHECK_INTERVAL = 4, 0.1


class LibvirtSandbox:
    """Composed of its two channels; ``alive`` asks the hypervisor whether the machine is still there."""

    def __init__(
        self,
        name: str,
        note: str,
        control: ControlPort,
        channel: Channel,
        transfer_disk: TransferDisk,
        mirror_manifests: Path,
        alive: Callable[[], bool],
        tell: Notify = unheard,
    ) -> None:
        self.name, self.note, self._tell = name, note, tell
        self._control, self._channel, self._alive = control, channel, alive
        self._jobs = Jobs(channel, control)
        self._shell, self._transfer = Shell(self._jobs), Transfer(self._jobs, transfer_disk)
        self._workspace = Workspace(self._jobs, self._transfer, mirror_manifests)

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
            result = await self._shell.run(Job(command, cwd, env or {}, user), timeout, on_output, output_limit)
        self._note_limits(command, result, timeout)
        return result

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
            return await self._shell.open_process(Job(command, cwd, env or {}, user, "p"), on_stderr, self._tell)

    async def write_file(self, path: str, data: bytes, *, mode: int = 0o644, user: GuestUser = "agent") -> None:
        """See ``Sandbox.write_file``."""
        async with self._watched():
            await self._shell.write_file(path, data, mode, user)

    async def write_files(
        self, folder: str, files: Mapping[str, bytes], *, mode: int = 0o644, user: GuestUser = "agent"
    ) -> None:
        """See ``Sandbox.write_files``."""
        async with self._watched():
            await self._shell.write_files(folder, files, mode, user)

    async def read_file(self, path: str, *, limit: int = 1_048_576) -> bytes:
        """See ``Sandbox.read_file``."""
        async with self._watched():
            return await self._shell.read_file(path, limit)

    async def send_file(self, source: Path, path: str) -> None:
        """See ``Sandbox.send_file``."""
        async with self._watched():
            await in_thread(send_file, self._transfer, source, path)

    async def receive_file(self, path: str, destination: Path, *, limit: int) -> int:
        """See ``Sandbox.receive_file``."""
        async with self._watched():
            size = await self._size_of(path, limit)
            return await in_thread(receive_file, self._transfer, path, size, destination)

    async def push_workspace(self, source: Path) -> int:
        """See ``Sandbox.push_workspace``; a file that is newer in the machine stays."""
        async with self._watched():
            return await in_thread(self._workspace.push, source)

    async def mirror_workspace(self, destination: Path) -> MirrorReport:
        """See ``Sandbox.mirror_workspace``; ``.git`` stays in the machine."""
        async with self._watched():
            return await in_thread(self._workspace.mirror, destination)

    async def open_terminal(
        self,
        *,
        columns: int,
        rows: int,
        user: GuestUser = "agent",
        cwd: str = "/workspace",
        command: str = "",
        term: str = DEFAULT_TERM,
        piped: bool = False,
    ) -> Terminal:
        """See ``Sandbox.open_terminal``."""
        async with self._watched():
            return await SshTerminal.open(
                self._jobs, command, cwd, user, None if piped else pseudo_terminal(term, columns, rows)
            )

    async def quiesce(self, timeout: float) -> bool:
        """See ``Sandbox.quiesce``."""
        async with self._watched():
            answer = await in_thread(self._control.request, "quiesce", timeout + _ANSWER_SECONDS, timeout=timeout)
            return not answer.get("busy")

    async def _size_of(self, path: str, limit: int) -> int:
        """Raises SandboxError when there is no such file, or it is larger than ``limit`` bytes."""
        place = shlex.quote(path)
        asking = Job(f"test -f {place} && stat -Lc %s -- {place}", user="root")
        result = await self._shell.run(asking, _ANSWER_SECONDS, None, 64)
        words = result.output.strip()
        if result.exit_status != 0 or not words.isdigit():
            raise SandboxError(f"{path} is not there", operation="receive a file")
        if int(words) > limit:
            raise SandboxError(f"{path} has {int(words)} bytes, {limit} are allowed", operation="receive a file")
        return int(words)

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

    def _note_limits(self, command: str, result: CommandResult, timeout: float) -> None:
        words = shorten(command, _WORDS, placeholder="…")
        if result.dropped:
            kept = f"{result.dropped} bytes beyond the first {len(result.output)} were dropped"
            self._tell(Notice("output", f"{kept}: {words}"))
        if result.timed_out:
            self._tell(Notice("command_time", f"ended after {timeout:.0f} s: {words}"))

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
