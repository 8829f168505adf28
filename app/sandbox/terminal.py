"""A person's terminal in a machine, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any

import paramiko

from app.domain.errors import SandboxError
from app.domain.ports import GuestUser
from app.sandbox.channel import PseudoTerminal
from app.sandbox.jobs import Job, Jobs, StartedJob
from app.sandbox.ssh_io import end_input, receive, resize, send
from app.sandbox.threads import in_thread

DEFAULT_TERM = "xterm-256color"
_TERMS = re.compile("ansi|dumb|linux|vt(100|102|220)|rxvt(-unicode(-256color)?)?|(screen|tmux|xterm)(-256color)?")
"""Terminals the image describes (Debian's ncurses-base)."""
_SHELL = "exec /bin/bash -l"
_PIECE = 65536
_DRAIN_SECONDS = 1.0
_MOST = 1000


def pseudo_terminal(term: str, columns: int, rows: int) -> PseudoTerminal:
    """What was asked for, within reason: programs in the machine know some terminals only."""
    return PseudoTerminal(term if _TERMS.fullmatch(term) else DEFAULT_TERM, *_size(columns, rows))


class SshTerminal:
    """One read and one write at a time; what is not read stays in the machine but for an SSH window (2 MiB)."""

    def __init__(self, jobs: Jobs, started: StartedJob, *, piped: bool) -> None:
        self._jobs, self._started, self._piped = jobs, started, piped
        self._channel = started.channel
        self._reading: asyncio.Future[bytes] | None = None
        self._status: asyncio.Future[int] = in_thread(self._channel.recv_exit_status)

    @classmethod
    async def open(cls, jobs: Jobs, command: str, cwd: str, user: GuestUser, pty: PseudoTerminal | None) -> SshTerminal:
        """Start ``command``, or a login shell, behind ``pty`` or on plain pipes. Raises SandboxError."""
        env = {} if pty is None else {"TERM": pty.term}
        started = await in_thread(jobs.start, Job(command or _SHELL, cwd, env, user, "t"), pty)
        started.channel.set_combine_stderr(True)
        return cls(jobs, started, piped=pty is None)

    async def read(self) -> bytes:
        """See ``Terminal.read``. A cancelled read loses nothing: the next one has it."""
        if self._reading is None:
            self._reading = in_thread(_or_end, receive, self._channel, _PIECE)
        first: list[asyncio.Future[Any]] = [self._reading, self._status]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        while not self._reading.done():
            await asyncio.wait([self._reading], timeout=_DRAIN_SECONDS)
            # What it left in the background may hold the streams open for ever.
            if not self._reading.done() and await in_thread(self._jobs.lives, self._started.name):
                return b""
        data, self._reading = self._reading.result(), None
        return data

    async def write(self, data: bytes) -> None:
        """See ``Terminal.write``; quietly nothing when the program has ended."""
        await in_thread(_or_end, send, self._channel, data)

    async def end_input(self) -> None:
        """See ``Terminal.end_input``."""
        await in_thread(_or_end, end_input, self._channel)

    async def resize(self, columns: int, rows: int) -> None:
        """See ``Terminal.resize``; nothing for a piped one."""
        if not self._piped:
            await in_thread(resize, self._channel, *_size(columns, rows))

    async def wait(self) -> int | None:
        """See ``Terminal.wait``."""
        status = await asyncio.shield(self._status)
        return status if status >= 0 else None

    async def close(self) -> None:
        """See ``Terminal.close``: the kernel sends HUP to the terminal's programs; piped ones are killed."""
        if self._channel.closed:
            return
        ended = self._channel.exit_status_ready()
        await in_thread(self._channel.close)
        if self._piped and not ended:
            with contextlib.suppress(SandboxError):
                await in_thread(self._jobs.kill, self._started.name)


def _size(columns: int, rows: int) -> tuple[int, int]:
    return min(max(columns, 1), _MOST), min(max(rows, 1), _MOST)


def _or_end(transfer: Callable[..., bytes | None], *args: object) -> bytes:
    """``transfer``'s result, empty when the channel has closed."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        return transfer(*args) or b""
    return b""
