"""What the rooms promise each other, as Protocols: real parts and the fakes of ``app.testing`` both fit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from app.domain.events import Event
from app.domain.forms import FormAsked, Value
from app.domain.loops import LoopReply, ModelAsk
from app.domain.machines import (
    CommandResult,
    MachineState,
    MachineUsage,
    MirrorReport,
    Notify,
    Reconciliation,
    SandboxRequest,
    unheard,
)
from app.domain.terminal import Terminal

Stream = Literal["stdout", "stderr"]
OutputSink = Callable[[Stream, bytes], None]
"""Called on the event loop with each piece of output as it arrives."""

Progress = Callable[[str], None]
"""Told, in words for a person, what a long operation is doing now."""

GuestUser = Literal["agent", "root"]


class GuestProcess(Protocol):
    """A program running in the machine, its standard streams open."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader

    async def wait(self) -> int | None:
        """Exit status, or None if the channel went first."""

    async def terminate(self) -> None:
        """End the whole process group: TERM, then KILL after a grace. Safe to repeat."""


class Sandbox(Protocol):
    """One running virtual machine, reached over its own channel."""

    name: str
    note: str
    """How it came to be, for the user: 'restored from template', 'cold boot: no template yet', 'adopted'."""

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
        """Run a shell command; at ``timeout`` seconds the whole process group is killed.

        Raises SandboxError if the channel fails, SandboxLost if the machine is gone.
        """

    async def open_process(
        self,
        command: str,
        *,
        cwd: str = "/workspace",
        env: Mapping[str, str] | None = None,
        user: GuestUser = "agent",
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> GuestProcess:
        """Start a program and keep its streams open."""

    async def write_file(self, path: str, data: bytes, *, mode: int = 0o644, user: GuestUser = "agent") -> None:
        """Write a whole file, making its folders."""

    async def write_files(
        self, folder: str, files: Mapping[str, bytes], *, mode: int = 0o644, user: GuestUser = "agent"
    ) -> None:
        """Write several whole files of one folder (names without slashes) in one go; each appears at once."""

    async def read_file(self, path: str, *, limit: int = 1_048_576) -> bytes:
        """Read at most ``limit`` bytes; raises SandboxError when it is not there."""

    async def send_file(self, source: Path, path: str) -> None:
        """Copy a file of the host, however large, to ``path``; it belongs to the agent. Raises SandboxError."""

    async def receive_file(self, path: str, destination: Path, *, limit: int) -> int:
        """Copy a file of the machine out; its size. Raises SandboxError without one, or above ``limit`` bytes."""

    async def push_workspace(self, source: Path) -> int:
        """Copy a host folder into /workspace; returns the number of files."""

    async def mirror_workspace(self, destination: Path) -> MirrorReport:
        """Bring changed files of /workspace out; everything the guest sends is hostile."""

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
        """An interactive shell (or ``command``) behind a pseudo-terminal of the kind ``term``. Raises SandboxError.

        ``piped``: plain pipes instead of a pseudo-terminal; the shell then reads a script.
        """

    async def quiesce(self, timeout: float) -> bool:
        """Wait until no command started by the agent's program runs any more; False when time ran out."""

    async def close(self) -> None:
        """Let go of the channel; the machine goes on."""


class SandboxHost(Protocol):
    """Where virtual machines live."""

    async def start(self) -> None:
        """Open the hypervisor connection. Raises HostError naming what is missing and the remedy."""

    async def ensure(self, request: SandboxRequest, progress: Progress, notify: Notify = unheard) -> Sandbox:
        """The machine of that name, running.

        It is adopted when it runs (one that is paused goes on), resumed when it is suspended, started on its own disk
        when it has one, else made.
        """

    async def names(self) -> list[str]:
        """Machines that run now."""

    async def state(self, name: str) -> MachineState:
        """What the machine of that name is doing."""

    async def pause(self, name: str) -> None:
        """Stop its processors at once; memory and channels stay. No error when it does not run."""

    async def resume(self, name: str) -> None:
        """Let a paused machine go on, its clock set right. No error when it is not paused."""

    async def suspend(self, name: str) -> None:
        """Save memory and state to disk and end the process; ``ensure`` goes on from there.

        Channels break, so nothing should be running. No error when it does not run.
        """

    async def usage(self, name: str) -> MachineUsage | None:
        """What it takes of this host; None when there is no such machine."""

    async def reconcile(self, keep: Collection[str], expected: Collection[str]) -> Reconciliation:
        """Compare what is here with what should be; to be called once, before the first ``ensure``.

        ``keep`` names the machines whose disks belong to an agent, ``expected`` those of them that should be running
        or suspended. Everything else of ours that nobody can use any more is removed.
        """

    async def stop(self, name: str) -> None:
        """Power off, keep the disk. No error when it does not run."""

    async def destroy(self, name: str) -> None:
        """Machine, disk, sockets: all gone. No error when there is none."""

    async def close(self) -> None:
        """Let go of the hypervisor; machines go on."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent is told about itself before its first turn."""

    agent: str
    model: str | None
    provider: str
    """Name of the provider behind the gateway, or ``rehearsal`` for the scripted model."""
    agents_md: str
    """Rules, descriptor and responsibilities as one Markdown page (AGENTS.md, CLAUDE.md)."""
    gateway_url: str
    """Base URL of the agent's door as seen inside the machine, without a trailing slash."""
    door: Path | None = None
    """The socket of the agent's door on this host: for those whose model is asked from here."""
    api: str = ""
    """What the provider speaks: openai, openai-chat or anthropic."""


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """One prompt to the agent.

    ``resume`` is true when an earlier try of this very turn had begun: then the runtime loads the session and goes on,
    giving the prompt only if it had not arrived. ``under_way`` are the tool calls that had begun then, as (id, what):
    a program may have been cut before it wrote them down.
    """

    turn: int
    prompt: str
    session: str | None
    resume: bool
    under_way: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """How a turn ended; ``stop_reason`` in ACP's words: end_turn, max_tokens, refusal, cancelled, …"""

    session: str
    stop_reason: str
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """The agent's words; ``thought`` when they are its reasoning."""

    text: str
    thought: bool = False


@dataclass(frozen=True, slots=True)
class ToolActivity:
    """A tool call as the agent's program reports it; later reports of the same ``call_id`` update it.

    ``output`` is all the output so far; ``status`` is pending, in_progress, completed or failed.
    """

    call_id: str
    title: str
    kind: str
    status: str
    command: str = ""
    output: str = ""
    exit_status: int | None = None


@dataclass(frozen=True, slots=True)
class PermissionAsked:
    """The agent's program asks before it acts; the answer is the id of one of the options."""

    call_id: str
    title: str
    command: str
    options: Sequence[tuple[str, str, str]]
    """(option id, name, kind) with kind allow_once, allow_always, reject_once or reject_always."""
    folder: str = ""
    """Where the command would run; empty when the program does not say."""
    kind: str = ""
    """In ACP's words: execute, edit, delete, move, fetch, …"""
    paths: tuple[str, ...] = ()
    """Files it would change, as far as the program says."""


@dataclass(frozen=True, slots=True)
class PermissionGiven:
    """The chosen option's id, None to cancel; ``told`` is said to the agent when its turn ends over a refusal."""

    option: str | None
    told: str = ""


class TurnObserver(Protocol):
    """Hears what happens during a turn."""

    async def said(self, said: Said) -> None: ...

    async def tool(self, activity: ToolActivity) -> None: ...

    async def session_opened(self, session: str) -> None:
        """The session exists in the machine: from here on a resumed turn can load it."""

    async def permission(self, asked: PermissionAsked) -> PermissionGiven:
        """What is answered; returns when that is decided, which may take a person days."""

    async def form(self, asked: FormAsked) -> Mapping[str, Value] | None:
        """What the user fills in, in its own time; None when it declines."""


class AgentRuntime(Protocol):
    """A brand of agent, driving one agent in one machine."""

    async def prepare(self, sandbox: Sandbox, brief: Brief) -> None:
        """Write the files the program reads (AGENTS.md, its configuration); idempotent."""

    async def run_turn(self, sandbox: Sandbox, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
        """Give one prompt and wait for its end. Raises RuntimeFailure or SandboxError."""

    async def cancel_turn(self) -> None:
        """Ask the running turn to stop; it then ends with stop_reason 'cancelled'."""

    async def close(self) -> None:
        """End the program in the machine. Safe to repeat."""


Hear = Callable[[Said], Awaitable[None]]
"""Told the words of a model as they come."""


@runtime_checkable
class LoopRuntime(AgentRuntime, Protocol):
    """A brand of agent without a program: its model is asked call by call, through the agent's own door."""

    async def ask(self, ask: ModelAsk, hear: Hear) -> LoopReply:
        """One model call. Raises ContextOverflow, ModelRefused, or RuntimeFailure when it may be tried again."""


class Journal(Protocol):
    """The append-only record of facts."""

    def append(self, *events: Event) -> None:
        """Durable when it returns; an event whose id is there already is dropped."""

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        """Events with a sequence number above ``after``, oldest first."""


class MemoryStore(Protocol):
    """One agent's memory file. Writes are atomic and keep a revision."""

    def read(self) -> str: ...

    def append(self, heading: str, text: str) -> int:
        """Add text at the end of a heading (made when missing); returns the revision."""

    def replace(self, heading: str, text: str) -> int:
        """Replace what stands under a heading; returns the revision."""

    def search(self, query: str, limit: int = 10) -> list[tuple[str, str]]:
        """(heading, line) of the lines that hold every word of the query."""


ActionHandler = Callable[[str, str, Mapping[str, object], str], Awaitable["ActionResult"]]
"""(agent key, action name, arguments, call id) -> result: what a tool call of an agent does."""


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What the agent is told of its tool call; ``ok`` false makes it a tool error."""

    text: str
    ok: bool = True
