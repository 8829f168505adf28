"""Commands in a machine, each a job in its own control group there. Everything here blocks."""

from __future__ import annotations

import contextlib
import re
import secrets
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import paramiko

from app.domain.errors import SandboxError
from app.domain.ports import GuestUser, Stream
from app.sandbox.channel import Channel, PseudoTerminal, ServerSilent
from app.sandbox.control_port import ControlPort
from app.sandbox.ssh_io import end_input, receive, receive_errors, send

KILL_GRACE = 2.0
_COMMAND_LIMIT = 30_000  # an SSH message holds 32 KiB, one argument of a program 128 KiB
_PIECE = 65536
_TICK = 0.2
_DRAIN_SECONDS = 1.0
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Kind = Literal["c", "p", "t"]
"""A command that ends by itself, a program that stays, or a person's terminal."""
_PING_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run, and as whom."""

    command: str
    cwd: str = "/workspace"
    env: Mapping[str, str] = field(default_factory=dict)
    user: GuestUser = "agent"
    kind: Kind = "c"


@dataclass(frozen=True, slots=True)
class StartedJob:
    """``name`` is what the guest agent calls it."""

    name: str
    channel: paramiko.Channel


@dataclass(frozen=True, slots=True)
class Ended:
    """``status`` is None when the job was killed or its channel went first."""

    status: int | None
    timed_out: bool


class _Limit:
    """When a job's time is up, or its output is wanted no more."""

    def __init__(self, seconds: float, abandoned: threading.Event) -> None:
        self._deadline, self._abandoned = time.monotonic() + seconds, abandoned

    def reached(self) -> bool:
        return self._abandoned.is_set() or time.monotonic() >= self._deadline

    def extend(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds


class Jobs:
    """Starts jobs over SSH and ends them over the control port, which works when SSH is stuck."""

    def __init__(self, channel: Channel, control: ControlPort) -> None:
        self._channel, self._control = channel, control

    def start(self, job: Job, pty: PseudoTerminal | None = None) -> StartedJob:
        """Raises SandboxError."""
        name = f"{job.kind}-{secrets.token_hex(6)}"
        command = job.command
        if len(job_line(name, job, command)) > _COMMAND_LIMIT or command.startswith("@"):
            command = self._put_aside(name, command)
        try:
            return StartedJob(name, self._channel.start(job_line(name, job, command), pty=pty))
        except ServerSilent as error:
            self._give_up_if_hung(error.transport)
            raise

    def kill(self, name: str, grace: float = KILL_GRACE) -> None:
        """TERM to all processes of the job, KILL after ``grace`` seconds. No error when it is gone."""
        self._control.request("kill", grace + 15, job=name, grace=grace)

    def lives(self, name: str) -> bool:
        """Whether the job has a process, if only in the background; true when the machine does not answer."""
        try:
            answer = self._control.request("jobs", _PING_SECONDS)
        except SandboxError:
            return True
        jobs = answer.get("jobs")
        return not isinstance(jobs, list) or name in jobs

    def collect(
        self,
        started: StartedJob,
        sink: Callable[[Stream, bytes], None],
        timeout: float,
        abandoned: threading.Event,
    ) -> Ended:
        """Read output until the job ends; at ``timeout`` seconds, or when abandoned, it is killed."""
        limit, killed, channel = _Limit(timeout, abandoned), False, started.channel
        with contextlib.closing(channel), channel_errors("read a command's output"):
            for piece in _pieces(channel, limit.reached, lambda: self.lives(started.name)):
                if piece is not None:
                    sink(*piece)
                    continue
                if killed:  # nothing came to an end within the time the kill took
                    break
                self.kill(started.name)
                killed = True
                limit.extend(KILL_GRACE + 5)
            if not killed and channel.exit_status < 0:
                raise SandboxError("the channel closed before the command ended", operation="run")
            return Ended(None if killed else channel.exit_status, killed and not abandoned.is_set())

    def _give_up_if_hung(self, transport: paramiko.Transport) -> None:
        """An SSH server that is silent in a machine that is not will never answer: the next job has another one."""
        with contextlib.suppress(SandboxError):
            self._control.request("ping", _PING_SECONDS)
            transport.close()

    def _put_aside(self, name: str, command: str) -> str:
        path = f"/run/skerry/{name}.command"
        self.feed(Job(f"cat > {path}", cwd="/", user="root"), command.encode("utf-8", "surrogateescape"))
        return f"@{path}"

    def feed(self, job: Job, data: bytes, timeout: float = 120.0) -> None:
        """Run a job with ``data`` as its input. Raises SandboxError when it does not end with status 0."""
        output = bytearray()
        started = self.start(job)
        with channel_errors("send data"):
            started.channel.settimeout(timeout)
            send(started.channel, data)
            end_input(started.channel)
        ended = self.collect(started, lambda _, piece: output.extend(piece), timeout, threading.Event())
        if ended.status != 0:
            words = output.decode("utf-8", "replace").strip()[-500:]
            raise SandboxError(f"the machine could not take the data: {words or ended.status}", operation="send data")


def job_line(name: str, job: Job, command: str) -> bytes:
    """What starts a job, sent as the SSH command; read by vm_images/base/job.c: netstrings. Raises SandboxError."""
    if bad := [key for key in job.env if not _NAME.fullmatch(key)]:
        raise SandboxError(f"{bad[0]!r} is no name for an environment variable", operation="run")
    fields = [name, job.user, job.cwd, command, *(f"{key}={value}" for key, value in job.env.items())]
    if any("\0" in text for text in fields):
        raise SandboxError("a command cannot hold a zero byte", operation="run")
    return b"".join(b"%d:%s," % (len(raw), raw) for raw in (text.encode("utf-8", "surrogateescape") for text in fields))


def _pieces(
    channel: paramiko.Channel, due: Callable[[], bool], held_open: Callable[[], bool]
) -> Iterator[tuple[Stream, bytes] | None]:
    """Output as it comes, None whenever it is ``due``; ends with the job.

    The exit status may overtake the last output, so the end of the output counts. Only a program that was left in the
    background and holds the streams open (``held_open``) makes it the exit status and a moment's silence.
    """
    waiting, last = select.poll(), time.monotonic()
    waiting.register(channel.fileno(), select.POLLIN)
    while True:
        if channel.eof_received:  # the descriptor is readable for ever
            channel.status_event.wait(_TICK)
        else:
            waiting.poll(_TICK * 1000)
        while channel.recv_ready():
            yield "stdout", receive(channel, _PIECE)
            last = time.monotonic()
        while channel.recv_stderr_ready():
            yield "stderr", receive_errors(channel, _PIECE)
            last = time.monotonic()
        if channel.closed or (channel.eof_received and channel.exit_status_ready()):
            if not channel.recv_ready() and not channel.recv_stderr_ready():
                return
        elif channel.exit_status_ready() and time.monotonic() - last > _DRAIN_SECONDS:
            if held_open():
                return
            last = time.monotonic()
        if due():
            yield None


@contextlib.contextmanager
def channel_errors(operation: str) -> Iterator[None]:
    """What paramiko raises, as a SandboxError."""
    try:
        yield
    except (OSError, EOFError, paramiko.SSHException) as error:
        detail = str(error) or type(error).__name__
        raise SandboxError(f"the machine's channel failed: {detail}", operation=operation) from error
