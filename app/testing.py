"""Fakes that ship with the product: the same Protocols without a machine or a model, for quick tests of what is above.

They keep the promises of ``app.domain.ports`` that callers rely on: names are unique, a destroyed machine is gone, a
workspace pushed in comes out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from app.domain import events as ev
from app.domain.errors import SandboxError, SandboxLost
from app.domain.machines import (
    CommandResult,
    MachineState,
    MachineUsage,
    MirrorReport,
    Notify,
    Reconciliation,
    Removed,
    SandboxRequest,
    unheard,
)
from app.domain.ports import (
    Brief,
    GuestProcess,
    GuestUser,
    OutputSink,
    Progress,
    Sandbox,
    TurnObserver,
    TurnOutcome,
    TurnRequest,
)
from app.domain.terminal import Terminal

Answering = Callable[[str], CommandResult]
Play = Callable[[str, TurnRequest, TurnObserver], Awaitable[TurnOutcome]]


def succeeded(output: str = "", exit_status: int = 0) -> CommandResult:
    """The result of a command that ended by itself."""
    return CommandResult(exit_status=exit_status, output=output.encode(), dropped=0, seconds=0.0)


class FakeSandbox:
    """A machine made of a dictionary. ``answering`` says what a command prints."""

    def __init__(self, name: str, answering: Answering = lambda command: succeeded()) -> None:
        self.name = name
        self.note = "fake"
        self.files: dict[str, bytes] = {}
        self.commands: list[str] = []
        self.lost = False
        self._answering = answering

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
        """Remember the command and give the answer prepared for it."""
        self._check()
        self.commands.append(command)
        result = self._answering(command)
        if on_output is not None and result.output:
            on_output("stdout", result.output)
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
        """A fake machine runs no programs: use ``ScriptedRuntime``."""
        raise SandboxError("a fake machine runs no programs", operation="open process")

    async def write_file(self, path: str, data: bytes, *, mode: int = 0o644, user: GuestUser = "agent") -> None:
        """Keep the file."""
        self._check()
        self.files[path] = data

    async def write_files(
        self, folder: str, files: Mapping[str, bytes], *, mode: int = 0o644, user: GuestUser = "agent"
    ) -> None:
        """Kept in ``files``."""
        for name, data in files.items():
            await self.write_file(f"{folder}/{name}", data, mode=mode, user=user)

    async def read_file(self, path: str, *, limit: int = 1_048_576) -> bytes:
        """The file's first bytes."""
        self._check()
        if path not in self.files:
            raise SandboxError(f"{path} is not there", operation="read file")
        return self.files[path][:limit]

    async def send_file(self, source: Path, path: str) -> None:
        """Keep the file."""
        self._check()
        self.files[path] = await asyncio.to_thread(source.read_bytes)

    async def receive_file(self, path: str, destination: Path, *, limit: int) -> int:
        """Write the file out."""
        data = await self.read_file(path, limit=limit + 1)
        if len(data) > limit:
            raise SandboxError(f"{path} has more than {limit} bytes", operation="receive file")
        return await asyncio.to_thread(destination.write_bytes, data)

    async def push_workspace(self, source: Path) -> int:
        """Take in the regular files below ``source``."""
        self._check()
        found = await asyncio.to_thread(lambda: [path for path in source.rglob("*") if path.is_file()])
        for path in found:
            self.files[f"/workspace/{path.relative_to(source)}"] = path.read_bytes()
        return len(found)

    async def mirror_workspace(self, destination: Path) -> MirrorReport:
        """Write the workspace's files below ``destination``."""
        self._check()
        total = 0
        inside = {path.removeprefix("/workspace/"): data for path, data in self.files.items() if "/workspace/" in path}
        for name, data in inside.items():
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            total += len(data)
        return MirrorReport(files=len(inside), bytes=total)

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
        """A terminal that says its own size back and echoes what is typed, until an end of transmission."""
        self._check()
        return FakeTerminal(columns, rows)

    async def quiesce(self, timeout: float) -> bool:
        """Nothing ever runs on."""
        return True

    async def close(self) -> None:
        """Nothing to let go of."""

    def _check(self) -> None:
        if self.lost:
            raise SandboxLost(f"{self.name} is gone", operation="use the machine")


class FakeTerminal:
    """Echoes; control-D ends it with status 0."""

    def __init__(self, columns: int, rows: int) -> None:
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._said.put_nowait(f"{columns}x{rows}\r\n".encode())

    async def read(self) -> bytes:
        """What was echoed."""
        return await self._said.get()

    async def write(self, data: bytes) -> None:
        """Echo, or end."""
        self._said.put_nowait(b"" if b"\x04" in data else data)
        if b"\x04" in data:
            self._ended.set()

    async def end_input(self) -> None:
        """End."""
        await self.close()

    async def resize(self, columns: int, rows: int) -> None:
        """Say the new size."""
        self._said.put_nowait(f"{columns}x{rows}\r\n".encode())

    async def wait(self) -> int | None:
        """0 after its end."""
        await self._ended.wait()
        return 0

    async def close(self) -> None:
        """Hang up."""
        self._said.put_nowait(b"")
        self._ended.set()


class FakeSandboxHost:
    """Machines made of dictionaries; those that were stopped keep their files."""

    def __init__(self, answering: Answering = lambda command: succeeded()) -> None:
        self.machines: dict[str, FakeSandbox] = {}
        self.running: set[str] = set()
        self.paused: set[str] = set()
        self.suspended: set[str] = set()
        self.notify: dict[str, Notify] = {}
        self.made = 0
        self._answering = answering

    async def start(self) -> None:
        """Ready at once."""

    async def ensure(self, request: SandboxRequest, progress: Progress, notify: Notify = unheard) -> Sandbox:
        """The machine of that name, made when missing."""
        await asyncio.sleep(0)
        self.paused.discard(request.name)
        self.suspended.discard(request.name)
        self.notify[request.name] = notify
        if request.name not in self.machines:
            self.made += 1
            self.machines[request.name] = FakeSandbox(request.name, self._answering)
        self.running.add(request.name)
        return self.machines[request.name]

    async def names(self) -> list[str]:
        """Running machines."""
        return sorted(self.running)

    async def state(self, name: str) -> MachineState:
        """What was last asked of it."""
        if name in self.suspended:
            return "suspended"
        if name in self.running:
            return "paused" if name in self.paused else "running"
        return "stopped" if name in self.machines else "absent"

    async def pause(self, name: str) -> None:
        """Noted."""
        if name in self.running:
            self.paused.add(name)

    async def resume(self, name: str) -> None:
        """Noted."""
        self.paused.discard(name)

    async def suspend(self, name: str) -> None:
        """Gone from the running ones; files stay."""
        if name in self.running:
            self.running.discard(name)
            self.suspended.add(name)

    async def usage(self, name: str) -> MachineUsage | None:
        """The same figures for every machine."""
        if name not in self.machines:
            return None
        return MachineUsage(cpu_seconds=1.0, memory_bytes=64 * 2**20, disk_bytes=16 * 2**20)

    async def reconcile(self, keep: Collection[str], expected: Collection[str]) -> Reconciliation:
        """Machines nobody keeps are removed."""
        strangers = sorted(set(self.machines) - set(keep))
        for name in strangers:
            await self.destroy(name)
        living = sorted(self.running | self.suspended)
        lost = sorted(set(expected) - set(living))
        return Reconciliation(living, lost, tuple(Removed("disk", name, "no agent has it") for name in strangers))

    async def stop(self, name: str) -> None:
        """Power off; files stay."""
        self.running.discard(name)
        self.paused.discard(name)
        self.suspended.discard(name)

    async def destroy(self, name: str) -> None:
        """All gone."""
        await self.stop(name)
        self.machines.pop(name, None)

    async def close(self) -> None:
        """Machines go on."""


class ScriptedRuntime:
    """An agent whose turns are a Python coroutine: ``play(agent, turn, observer)``."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._agent = ""
        self._running: asyncio.Task[TurnOutcome] | None = None
        self.briefs: list[Brief] = []

    async def prepare(self, sandbox: Sandbox, brief: Brief) -> None:
        """Remember who this is."""
        self._agent = brief.agent
        self.briefs.append(brief)

    async def run_turn(self, sandbox: Sandbox, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
        """Play the turn; a cancelled one ends as cancelled."""
        await observer.session_opened(turn.session or f"session-of-{self._agent}")
        self._running = asyncio.ensure_future(self._play(self._agent, turn, observer))
        try:
            return await self._running
        except asyncio.CancelledError:
            if self._running.cancelled():
                return TurnOutcome(session=f"session-of-{self._agent}", stop_reason="cancelled")
            raise

    async def cancel_turn(self) -> None:
        """End the coroutine."""
        if self._running is not None:
            self._running.cancel()

    async def close(self) -> None:
        """Nothing runs on."""


class EventBuilder:
    """Builds facts of one run with ids and times that grow."""

    def __init__(self, fleet: str = "demo-000000", run: str = "r1") -> None:
        self.fleet = fleet
        self.run = run
        self._count = 0

    def base(self, agent: str = "") -> dict[str, object]:
        """The fields all facts share."""
        self._count += 1
        at = datetime.fromtimestamp(1_800_000_000 + self._count, UTC)
        return {"id": f"{self.run}/{self._count}", "at": at, "fleet": self.fleet, "run": self.run, "agent": agent}

    def run_started(self, *agents: str) -> ev.RunStarted:
        """A run of agents that all may write to each other."""
        declared = [
            {"id": name, "type": "codex", "recipients": [other for other in agents if other != name]} for name in agents
        ]
        return ev.RunStarted.model_validate(
            self.base() | {"project": "demo", "root": "/demo", "agents": declared, "rehearsal": ""}
        )

    def moved(self, agent: str, state: ev.AgentStatus, reason: str = "", turn: int = 0) -> ev.AgentMoved:
        """An agent's new state."""
        return ev.AgentMoved.model_validate(self.base(agent) | {"state": state, "reason": reason, "turn": turn})
