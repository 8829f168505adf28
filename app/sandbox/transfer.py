"""Large data in and out of a machine: over its transfer disk where that is quicker, else over SSH. Everything blocks.

SSH under emulation moves six to nine megabytes a second, a raw disk some hundred. What is on that disk is trusted no
more than a stream: the machine may write to it at any time, so it is read once, from the beginning to the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import io
import os
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

import paramiko

from app.domain.errors import ConfigError, HostError, SandboxError
from app.domain.ports import GuestUser
from app.sandbox.host_tools import require_space
from app.sandbox.jobs import Job, Jobs, StartedJob, channel_errors
from app.sandbox.machine import TRANSFER_BYTES
from app.sandbox.ssh_io import end_input, receive, send

CROSS_OVER = 2 * 2**20
"""From so many bytes on the disk is quicker: its four programs in the machine cost a third of a second."""
SECONDS = 600.0
"""How long one transfer may take."""
_PIECE = 2**20
_WORDS_KEPT = 4096
_SPACE_LEFT = 2**30
_PUNCH_HOLE_KEEP_SIZE = 0x03
_NO_DISK = 97
_BROKEN_PIPE = 141  # tar does not read the zeros behind its archive
# Neither side sees what the other holds in its page cache: the machine reads and writes past its own.
_FIND_DISK = (
    "set -o pipefail; disk=; for found in /sys/block/vd*; do serial=; read -r serial < $found/serial; "
    f'[ "$serial" = transfer ] && disk=/dev/${{found##*/}}; done; [ -b "$disk" ] || exit {_NO_DISK}; '
    "blockdev --flushbufs $disk; "
)
_AS_AGENT = "setpriv --reuid=1000 --regid=1000 --clear-groups env HOME=/home/agent USER=agent bash -c"
Read = Callable[[int], bytes]
"""At most so many bytes, empty at the end."""
T = TypeVar("T")


class TransferDisk:
    """The host's side of a machine's transfer disk; QEMU has the file open, so it is changed and never replaced."""

    def __init__(self, path: Path, size: int = TRANSFER_BYTES) -> None:
        self._path, self.size = path, size

    @property
    def exists(self) -> bool:
        """Machines of earlier versions have none."""
        return self._path.exists()

    @property
    def folder(self) -> Path:
        """Where it takes its space."""
        return self._path.parent

    @contextlib.contextmanager
    def claimed(self, seconds: float = SECONDS) -> Iterator[int]:
        """Its descriptor, empty and nobody else's; emptied again at the end. Raises SandboxError when it is not free.

        The lock is flock's: QEMU's own locks on the file are of another kind.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _lock(descriptor, seconds)
            _empty(descriptor, self.size)
            try:
                yield descriptor
            finally:
                _empty(descriptor, self.size)
        finally:
            os.close(descriptor)


class Transfer:
    """How a workspace or a file goes in and out. A transfer of less than ``cross_over`` bytes goes over SSH."""

    def __init__(
        self, jobs: Jobs, disk: TransferDisk | None = None, cross_over: int = CROSS_OVER, seconds: float = SECONDS
    ) -> None:
        self._jobs, self._disk, self._cross_over, self._seconds = jobs, disk, cross_over, seconds

    def send(self, command: str, size: int, write: Callable[[IO[bytes]], T], *, user: GuestUser = "agent") -> T:
        """Run ``command`` in /workspace; its input is what ``write`` writes, with zeros behind it perhaps.

        ``size`` is about how many bytes that will be. Raises SandboxError, and HostError when this host is full.
        """
        disk = self._disk_for(size)
        if disk is None:
            return self._send_over_ssh(command, write, user)
        require_space(disk.folder, size + _SPACE_LEFT, "copy to the machine")
        with disk.claimed(self._seconds) as descriptor:
            file = _Bounded(descriptor, disk.size)
            with io.BufferedWriter(file, _PIECE) as stream:
                result = write(stream)
            count = -(-file.written // _PIECE)
            reading = f"dd if=$disk bs=1M count={count} iflag=direct status=none"
            self._run(f"{_FIND_DISK}{reading} | {_as(user, command)}", "copy to the machine", ignored=(_BROKEN_PIPE,))
        return result

    @contextlib.contextmanager
    def receive(self, command: str, size: int, *, user: GuestUser = "root") -> Iterator[Read]:
        """What ``command``, run in /workspace, prints; ``size`` is about how many bytes that will be.

        Over the disk zeros follow it, and how the command ended is not told: what comes must tell by itself whether it
        is whole. Raises SandboxError.
        """
        disk = self._disk_for(size)
        if disk is None:
            with self._receive_over_ssh(command, user) as read:
                yield read
            return
        require_space(disk.folder, size + _SPACE_LEFT, "copy from the machine")
        with disk.claimed(self._seconds) as descriptor:
            writing = "dd of=$disk bs=1M iflag=fullblock oflag=direct conv=fsync,notrunc status=none"
            self._run(f"{_FIND_DISK}{_as(user, command)} | {writing}", "copy from the machine", ignored=None)
            with open(descriptor, "rb", closefd=False, buffering=0) as file:
                file.seek(0)
                yield lambda count: file.read(count) or b""

    def _disk_for(self, size: int) -> TransferDisk | None:
        if self._disk is None or size < self._cross_over or not self._disk.exists:
            return None
        if size > self._disk.size - 2**20:
            raise ConfigError(
                f"{size / 2**30:.1f} GiB are more than can be copied at one time",
                operation="copy",
                hint=f"keep it below {self._disk.size // 2**30} GiB",
            )
        return self._disk

    def _run(self, command: str, operation: str, ignored: tuple[int, ...] | None) -> None:
        """``ignored``: exit statuses that mean nothing; None: all but that of a missing disk."""
        started, output = self._jobs.start(Job(command, user="root")), bytearray()
        end_input(started.channel)
        ended = self._jobs.collect(started, lambda _, piece: _keep(output, piece), self._seconds, threading.Event())
        if ended.timed_out:
            raise SandboxError(f"it took longer than {self._seconds:.0f} seconds", operation=operation)
        if ended.status == _NO_DISK:
            raise SandboxError("the machine does not see its transfer disk", operation=operation)
        if ended.status != 0 and ignored is not None and ended.status not in ignored:
            raise SandboxError(f"the machine could not take it: {_words(output, ended.status)}", operation=operation)

    def _send_over_ssh(self, command: str, write: Callable[[IO[bytes]], T], user: GuestUser) -> T:
        started, output = self._jobs.start(Job(command, user=user)), bytearray()
        with self._ended_unless_whole(started), _hung_up_after(started.channel, self._seconds):
            with io.BufferedWriter(_ChannelFile(started.channel), 2**18) as file:
                result = write(file)
            end_input(started.channel)
        ended = self._jobs.collect(started, lambda _, piece: _keep(output, piece), self._seconds, threading.Event())
        if ended.status != 0:
            words = _words(output, ended.status)
            raise SandboxError(f"the machine could not take it: {words}", operation="copy to the machine")
        return result

    @contextlib.contextmanager
    def _receive_over_ssh(self, command: str, user: GuestUser) -> Iterator[Read]:
        started = self._jobs.start(Job(command, user=user))
        channel = started.channel

        def read(count: int) -> bytes:
            with channel_errors("copy from the machine"):
                return receive(channel, count)

        with self._ended_unless_whole(started), contextlib.closing(channel), _hung_up_after(channel, self._seconds):
            end_input(channel)
            yield read

    @contextlib.contextmanager
    def _ended_unless_whole(self, started: StartedJob) -> Iterator[None]:
        """What it runs may go on without end, when we have had enough of it."""
        try:
            with channel_errors("copy"):
                yield
        except BaseException:
            started.channel.close()
            with contextlib.suppress(SandboxError):
                self._jobs.kill(started.name, 0.5)
            raise


class _Bounded(io.RawIOBase):
    """Writes from the beginning of the transfer disk, and not behind its end."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self._size, self.written = descriptor, size, 0

    def writable(self) -> bool:
        """It is what it is for."""
        return True

    def write(self, data: Any, /) -> int:
        """All of it. Raises ConfigError when it does not fit."""
        view = memoryview(data)
        if self.written + len(view) > self._size:
            hint = f"keep it below {self._size // 2**30} GiB"
            raise ConfigError("this is more than can be copied at one time", operation="copy", hint=hint)
        done = 0
        try:
            while done < len(view):
                done += os.pwrite(self._descriptor, view[done:], self.written + done)
        except OSError as error:
            raise HostError(f"cannot write: {error.strerror}", operation="copy", hint="free disk space") from error
        self.written += done
        return done


class _ChannelFile(io.RawIOBase):
    """A channel as a file to write to."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def writable(self) -> bool:
        """It is what it is for."""
        return True

    def write(self, data: Any, /) -> int:
        """All of it, always."""
        send(self._channel, bytes(data))
        return len(data)


@contextlib.contextmanager
def _hung_up_after(channel: paramiko.Channel, seconds: float) -> Iterator[None]:
    """A machine that takes or gives a byte now and then does not hold us for ever."""
    timer = threading.Timer(seconds, channel.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _as(user: GuestUser, command: str) -> str:
    """The command as one word of a pipeline."""
    return f"{_AS_AGENT} {shlex.quote(command)}" if user == "agent" else f"{{ {command}; }}"


def _lock(descriptor: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SandboxError("another copy to or from this machine is under way", operation="copy") from None
            time.sleep(0.05)
        else:
            return


def _empty(descriptor: int, size: int) -> None:
    """Zeros that take no space, while QEMU has the file open: its size and its inode stay."""
    if os.fstat(descriptor).st_blocks == 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    whole = max(size, os.fstat(descriptor).st_size) + _PIECE  # the last block too
    if libc.fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(whole)) != 0:
        reason = os.strerror(ctypes.get_errno())
        hint = "keep Skerry's state on a file system with sparse files, such as ext4, xfs or btrfs"
        raise HostError(f"the transfer disk cannot be emptied: {reason}", operation="copy", hint=hint)


def _keep(output: bytearray, piece: bytes) -> None:
    output += piece[: max(0, _WORDS_KEPT - len(output))]


def _words(output: bytearray, status: int | None) -> str:
    return output.decode("utf-8", "replace").strip()[-500:] or f"status {status}"
