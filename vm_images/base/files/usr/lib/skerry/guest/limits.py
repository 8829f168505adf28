"""Watches what the jobs take, ends commands whose time is up, and tells the host when a limit was reached.

The kernel wakes it when a limit of memory or processes is met. Only time and the disk are looked at, every few
seconds and only while there are jobs.
"""

import contextlib
import os
import re
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guest import commands, jobs

_GROUP = Path("/sys/fs/cgroup/jobs")
_SHORTEST_LOOK, _LONGEST_LOOK = 2.0, 5.0
_CALM = 0.5  # a fork bomb meets its limit a hundred times a second
_SILENCE = 30.0  # between two words about the same limit
_GRACE = 5.0
_FULL, _ROOMY = 2 * 2**20, 64 * 2**20
_KILLED = re.compile(r"Killed process (\d+) \((.*?)\).*?anon-rss:(\d+)kB")
Tell = Callable[[dict[str, str]], None]


class _Settings:
    """What the host asked for; read by the watch, written when a request comes."""

    command_seconds = 600.0
    changed_read, changed_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)


def apply(request: dict[str, Any]) -> dict[str, Any]:
    """Set the limits the host asks for."""
    (_GROUP / "pids.max").write_text(f"{int(request['processes'])}\n")
    _Settings.command_seconds = float(request["command_seconds"])
    with contextlib.suppress(BlockingIOError):
        os.write(_Settings.changed_write, b".")
    return {}


class Watch:
    """Never polls while the machine is idle."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._memory, self._processes, self._population = map(
            _Counters, ("memory.events", "pids.events", "cgroup.events")
        )
        self._seen = {"oom_kill": self._memory.value("oom_kill"), "max": self._processes.value("max")}
        self._kernel = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._kernel, 0, os.SEEK_END)
        self._spoken: dict[str, float] = {}
        self._full = False
        self._ending: set[int] = set()

    def serve(self) -> None:
        """Never returns."""
        poller = select.poll()
        for counters in (self._memory, self._processes, self._population):
            poller.register(counters.file, select.POLLPRI)
        poller.register(_Settings.changed_read, select.POLLIN)
        while True:
            busy = self._population.value("populated")
            look = min(_LONGEST_LOOK, max(_SHORTEST_LOOK, _Settings.command_seconds / 4))
            if poller.poll(look * 1000 if busy else None):
                with contextlib.suppress(BlockingIOError):
                    os.read(_Settings.changed_read, 64)
                time.sleep(_CALM)
            self._look()

    def _look(self) -> None:
        for check in (self._look_memory, self._look_processes, self._look_disk, self._look_commands):
            with contextlib.suppress(OSError, ValueError):
                check()

    def _look_memory(self) -> None:
        if self._more(self._memory, "oom_kill"):
            limit = int((_GROUP / "memory.max").read_text()) // 2**20
            self._say("memory", f"its {limit} MiB were used up; the kernel killed {self._victims() or 'a process'}")

    def _look_processes(self) -> None:
        if self._more(self._processes, "max"):
            limit = (_GROUP / "pids.max").read_text().strip()
            self._say("processes", f"it has all of its {limit} processes and threads; no more could be started")

    def _look_disk(self) -> None:
        disk = os.statvfs("/")
        left = disk.f_bavail * disk.f_frsize
        if left < _FULL and not self._full:
            self._full = True
            self._say("disk", f"its disk of {disk.f_blocks * disk.f_frsize // 2**20} MiB is full")
        elif left > _ROOMY:
            self._full = False

    def _look_commands(self) -> None:
        for job in jobs.names():
            if job.startswith("p-"):
                for command in jobs.commands_of(job):
                    if commands.age(command) > _Settings.command_seconds and command.pid not in self._ending:
                        self._ending.add(command.pid)
                        threading.Thread(target=self._end, args=(job, command), daemon=True).start()

    def _end(self, job: str, command: commands.Process) -> None:
        said = f"ended after {commands.age(command):.0f} s: {commands.words(command)}"
        try:
            jobs.end_command(job, command, _GRACE)
        finally:
            self._ending.discard(command.pid)
        self._say("command_time", said, always=True)

    def _victims(self) -> str:
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                with contextlib.suppress(BrokenPipeError):  # older lines were overwritten
                    if match := _KILLED.search(os.read(self._kernel, 8192).decode(errors="replace")):
                        found.append(f"{match[2]} (process {match[1]}, {int(match[3]) // 1024} MiB)")
        return ", ".join(found[-3:])

    def _more(self, counters: "_Counters", key: str) -> bool:
        before, self._seen[key] = self._seen[key], counters.value(key)
        return self._seen[key] > before

    def _say(self, limit: str, detail: str, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._spoken.get(limit, -_SILENCE) >= _SILENCE:
            self._spoken[limit] = now
            self._tell({"event": "limit", "limit": limit, "detail": detail})


class _Counters:
    """A file of ``name value`` lines whose changes the kernel announces."""

    def __init__(self, name: str) -> None:
        self.file = os.open(_GROUP / name, os.O_RDONLY | os.O_CLOEXEC)

    def value(self, key: str) -> int:
        for line in os.pread(self.file, 4096, 0).decode().splitlines():
            name, _, number = line.partition(" ")
            if name == key:
                return int(number)
        return 0
