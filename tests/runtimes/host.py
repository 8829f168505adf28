"""A sandbox that is a folder of this host: programs are real processes here, their home and workspace their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from app.domain.errors import SandboxError
from app.domain.machines import CommandResult, MirrorReport
from app.domain.ports import GuestProcess, GuestUser, OutputSink
from app.domain.terminal import Terminal


class HostProcess:
    """A process of this host as a GuestProcess."""

    def __init__(self, process: asyncio.subprocess.Process, on_stderr: Callable[[bytes], None] | None) -> None:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self.stdin: asyncio.StreamWriter = process.stdin
        self.stdout: asyncio.StreamReader = process.stdout
        self.pid = process.pid
        self._process = process
        self._cut = False
        self._errors = asyncio.create_task(_pass_on(process.stderr, on_stderr))

    async def wait(self) -> int | None:
        status = await self._process.wait()
        await self._errors
        return None if self._cut else status

    async def terminate(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 3)
                break
        self.stdin.close()
        await self._errors

    def cut(self) -> None:
        """Lose the program, and with it the news of how it ended."""
        self._cut = True
        self.kill()

    def kill(self) -> None:
        """What a power cut does."""
        os.killpg(self.pid, signal.SIGKILL)


class HostSandbox:
    """Everything below ``root``; give runtimes ``home`` and ``workspace`` for the paths in a machine."""

    def __init__(self, root: Path, name: str = "host") -> None:
        self.name = name
        self.note = "a folder of this host"
        self.home = root / "home"
        self.workspace = root / "workspace"
        self.processes: list[HostProcess] = []
        for folder in (self.home, self.workspace):
            folder.mkdir(parents=True)

    async def open_process(
        self,
        command: str,
        *,
        cwd: str = "/workspace",
        env: Mapping[str, str] | None = None,
        user: GuestUser = "agent",
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> GuestProcess:
        process = await asyncio.create_subprocess_shell(
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(env or {})},
            start_new_session=True,
            limit=2**20,
        )
        self.processes.append(HostProcess(process, on_stderr))
        return self.processes[-1]

    async def write_file(self, path: str, data: bytes, *, mode: int = 0o644, user: GuestUser = "agent") -> None:
        target = Path(path)
        assert target.is_relative_to(self.home.parent), f"{path} is outside of the sandbox"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(mode)

    async def write_files(
        self, folder: str, files: Mapping[str, bytes], *, mode: int = 0o644, user: GuestUser = "agent"
    ) -> None:
        for name, data in files.items():
            await self.write_file(f"{folder}/{name}", data, mode=mode)

    async def read_file(self, path: str, *, limit: int = 1_048_576) -> bytes:
        try:
            return Path(path).read_bytes()[:limit]
        except OSError as error:
            raise SandboxError(f"{path}: {error.strerror}") from None

    async def open_terminal(
        self,
        *,
        columns: int,
        rows: int,
        user: GuestUser = "agent",
        cwd: str = "/workspace",
        command: str = "",
        term: str = "xterm-256color",
        piped: bool = False,
    ) -> Terminal:
        raise NotImplementedError("no runtime opens a terminal")

    async def quiesce(self, timeout: float) -> bool:
        limit = time.monotonic() + timeout
        while self.busy():
            if time.monotonic() > limit:
                return False
            await asyncio.sleep(0.05)
        return True

    def busy(self) -> list[int]:
        """Processes that live in our home, whoever started them."""
        mark = f"HOME={self.home}".encode()
        return [int(proc.name) for proc in Path("/proc").iterdir() if proc.name.isdigit() and mark in _environ(proc)]

    async def close(self) -> None:
        for process in self.processes:
            await process.terminate()
        for pid in self.busy():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

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
        raise NotImplementedError("runtimes run their programs with open_process")

    async def send_file(self, source: Path, path: str) -> None:
        raise NotImplementedError

    async def receive_file(self, path: str, destination: Path, *, limit: int) -> int:
        raise NotImplementedError

    async def push_workspace(self, source: Path) -> int:
        raise NotImplementedError

    async def mirror_workspace(self, destination: Path) -> MirrorReport:
        raise NotImplementedError


async def _pass_on(stream: asyncio.StreamReader, sink: Callable[[bytes], None] | None) -> None:
    while data := await stream.read(65536):
        if sink is not None:
            sink(data)


def _environ(proc: Path) -> list[bytes]:
    try:
        return (proc / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
