"""Commands, programs and files of a machine, for asyncio."""

from __future__ import annotations

import asyncio
import io
import shlex
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from posixpath import basename, dirname

from app.domain.errors import SandboxError
from app.domain.machines import CommandResult, Notify, unheard
from app.domain.ports import GuestUser, OutputSink, Stream
from app.sandbox.jobs import Ended, Job, Jobs
from app.sandbox.process import SshProcess
from app.sandbox.ssh_io import end_input
from app.sandbox.threads import in_thread, post

_FILE_SECONDS = 120.0


class Shell:
    """What a Sandbox promises about commands and files."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def run(self, job: Job, timeout: float, on_output: OutputSink | None, output_limit: int) -> CommandResult:
        """Run to the end; when the awaiting task is cancelled the command is killed too. Raises SandboxError."""
        output = _Output(output_limit, on_output, asyncio.get_running_loop())
        abandoned, begun = threading.Event(), time.monotonic()

        def whole() -> Ended:
            started = self._jobs.start(job)
            end_input(started.channel)
            return self._jobs.collect(started, output.take, timeout, abandoned)

        try:
            ended = await in_thread(whole)
        except asyncio.CancelledError:
            abandoned.set()
            raise
        return CommandResult(
            ended.status, bytes(output.kept), output.dropped, time.monotonic() - begun, ended.timed_out
        )

    async def open_process(
        self, job: Job, on_stderr: Callable[[bytes], None] | None, tell: Notify = unheard
    ) -> SshProcess:
        """Start a program and keep its streams open. Raises SandboxError."""
        return await SshProcess.open(self._jobs, await in_thread(self._jobs.start, job), on_stderr, tell)

    async def write_file(self, path: str, data: bytes, mode: int, user: GuestUser) -> None:
        """Whole or not at all: a draft beside the file takes its name when all bytes are there."""
        folder, draft = dirname(path) or ".", f"{dirname(path) or '.'}/.{basename(path)}.draft"
        script = (
            f"mkdir -p {_q(folder)} && cat > {_q(draft)} && test $(stat -c %s {_q(draft)}) = {len(data)} "
            f"&& chmod {mode:o} {_q(draft)} && mv -T {_q(draft)} {_q(path)}"
        )
        await in_thread(self._jobs.feed, Job(script, user=user), data)

    async def write_files(self, folder: str, files: Mapping[str, bytes], mode: int, user: GuestUser) -> None:
        """One program and one round trip for all of them: under emulation each costs a twentieth of a second."""
        draft = f"{folder}/.skerry-draft"
        script = (
            f"mkdir -p {_q(draft)} && tar --extract --file=- --directory={_q(draft)} "
            f"&& mv -f -t {_q(folder)} -- {' '.join(_q(f'{draft}/{name}') for name in files)} && rmdir {_q(draft)}"
        )
        await in_thread(self._jobs.feed, Job(script, user=user), _archive(files, mode))

    async def read_file(self, path: str, limit: int) -> bytes:
        """Raises SandboxError when it is not there or longer than ``limit`` bytes."""
        job = Job(f"head -c {limit + 1} -- {_q(path)}", user="root")
        result = await self.run(job, _FILE_SECONDS, None, limit + 1)
        if result.exit_status != 0:
            words = result.output.decode("utf-8", "replace").strip()
            raise SandboxError(f"{path} cannot be read: {words}", operation="read file")
        if len(result.output) > limit:
            raise SandboxError(f"{path} is longer than {limit} bytes", operation="read file")
        return result.output


class _Output:
    """The first ``limit`` bytes are kept and passed on as they come; the rest is counted."""

    def __init__(self, limit: int, on_output: OutputSink | None, loop: asyncio.AbstractEventLoop) -> None:
        self.kept = bytearray()
        self.dropped = 0
        self._limit, self._on_output, self._loop = limit, on_output, loop

    def take(self, stream: Stream, data: bytes) -> None:
        """Called from the reading thread."""
        piece = data[: max(0, self._limit - len(self.kept))]
        self.dropped += len(data) - len(piece)
        self.kept += piece
        if piece and self._on_output is not None:
            post(self._loop, self._on_output, stream, piece)


def _archive(files: Mapping[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            if "/" in name or name in ("", ".", ".."):
                raise SandboxError(f"{name!r} is no name for a file", operation="write files")
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _q(text: str) -> str:
    return shlex.quote(text)
