"""A program in a machine whose standard streams stay open, as asyncio streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable

import paramiko

from app.domain.errors import SandboxError
from app.domain.machines import Notice, Notify, unheard
from app.sandbox.jobs import Jobs, StartedJob
from app.sandbox.ssh_io import end_input, receive, receive_errors, send
from app.sandbox.threads import in_thread, post

LINE_LIMIT = 16 * 2**20
"""Longest line of a program; one that writes a longer one is ended. Protocols have one JSON document a line, and who
reads them would take any line into memory."""
_PIECE = 65536
_GRACE = 3.0


class SshProcess:
    """Threads carry bytes between the SSH channel and a socket pair, so that a slow reader holds the program up."""

    def __init__(self, jobs: Jobs, started: StartedJob, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader):
        self.stdin, self.stdout = stdin, stdout
        self._jobs, self._started = jobs, started
        self._status: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls, jobs: Jobs, started: StartedJob, on_stderr: Callable[[bytes], None] | None, tell: Notify = unheard
    ) -> SshProcess:
        """Wrap a started job. ``tell`` hears, in a thread, of a line that is too long."""
        ours, theirs = socket.socketpair()
        stdout, stdin = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT + _PIECE)
        process = cls(jobs, started, stdin, stdout)
        loop, channel = asyncio.get_running_loop(), started.channel
        for name, target, args in (
            ("stdin", _copy_in, (theirs, channel)),
            ("stdout", _copy_out, (channel, theirs, lambda: _end_flood(jobs, started, tell))),
            ("stderr", _copy_err, (channel, loop, on_stderr)),
            ("status", _report, (channel, loop, process._status)),
        ):
            threading.Thread(target=target, args=args, name=f"{started.name}-{name}", daemon=True).start()
        return process

    async def wait(self) -> int | None:
        """Exit status, or None if the channel went first."""
        return await asyncio.shield(self._status)

    async def terminate(self) -> None:
        """End the whole group: TERM, then KILL after a grace. Safe to repeat."""
        if not self._started.channel.closed:
            with contextlib.suppress(SandboxError):
                await in_thread(self._jobs.kill, self._started.name, _GRACE)
            await in_thread(self._started.channel.close)
        self.stdin.close()


def _copy_in(source: socket.socket, channel: paramiko.Channel) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while data := source.recv(_PIECE):
            send(channel, data)
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        end_input(channel)


def _copy_out(channel: paramiko.Channel, target: socket.socket, flooded: Callable[[], None]) -> None:
    length = 0
    with target:
        with contextlib.suppress(OSError):
            while data := receive(channel, _PIECE):
                end = data.rfind(b"\n")
                length = length + len(data) if end < 0 else len(data) - end - 1
                if length > LINE_LIMIT:
                    flooded()
                    break
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)  # also ends the thread that reads from it


def _end_flood(jobs: Jobs, started: StartedJob, tell: Notify) -> None:
    tell(Notice("output", f"the agent's program wrote a line longer than {LINE_LIMIT // 2**20} MiB and was ended"))
    with contextlib.suppress(SandboxError):
        jobs.kill(started.name, _GRACE)


def _copy_err(
    channel: paramiko.Channel, loop: asyncio.AbstractEventLoop, on_stderr: Callable[[bytes], None] | None
) -> None:
    with contextlib.suppress(OSError):
        while data := receive_errors(channel, _PIECE):
            if on_stderr is not None:
                post(loop, on_stderr, data)


def _report(channel: paramiko.Channel, loop: asyncio.AbstractEventLoop, status: asyncio.Future[int | None]) -> None:
    found = channel.recv_exit_status()
    post(loop, _settle, status, found if found >= 0 else None)


def _settle(status: asyncio.Future[int | None], found: int | None) -> None:
    if not status.done():
        status.set_result(found)
