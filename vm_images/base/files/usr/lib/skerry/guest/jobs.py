"""Jobs: what the host started, each in its own control group under /sys/fs/cgroup/jobs.

A job called ``c-…`` is a command that ends by itself; ``p-…`` is a program that stays, such as a coding agent;
``t-…`` is a person's terminal, which nobody waits for.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from guest import commands

_GROUPS = Path("/sys/fs/cgroup/jobs")
_LEADERS = Path("/run/skerry/jobs")
_QUIET_SECONDS = 1.0


def names() -> list[str]:
    """Jobs that still have a process."""
    return sorted(group.name for group in _GROUPS.iterdir() if group.is_dir() and _pids(group.name))


def end_all(grace: float) -> None:
    """End every job and forget it."""
    end(names(), grace)
    for group in _GROUPS.iterdir():
        if group.is_dir():
            _LEADERS.joinpath(group.name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                group.rmdir()


def end(jobs: list[str], grace: float) -> bool:
    """TERM to every process of the jobs, KILL to what is left after ``grace`` seconds; true when nothing is left."""
    for job in jobs:
        for pid in _pids(job):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    if _wait_empty(jobs, grace):
        return True
    for job in jobs:
        with contextlib.suppress(OSError):
            (_GROUPS / job / "cgroup.kill").write_text("1")
    return _wait_empty(jobs, 5.0)


def wait_quiet(timeout: float) -> list[str]:
    """Wait until no command runs, and has not for a moment; the names of those that still do when time is up."""
    deadline = time.monotonic() + timeout
    quiet_since: float | None = None
    while True:
        busy, now = _busy(), time.monotonic()
        quiet_since = None if busy else (quiet_since or now)
        if quiet_since is not None and now - quiet_since >= min(_QUIET_SECONDS, timeout):
            return []
        if now >= deadline:
            return busy
        time.sleep(0.1)


def commands_of(job: str) -> list[commands.Process]:
    """Commands that the job's program started and that run."""
    return commands.commands(_processes(job), _leader(job))


def end_command(job: str, command: commands.Process, grace: float) -> None:
    """TERM to all processes of one command, KILL to what is left after ``grace`` seconds; the program lives on."""
    deadline, number = time.monotonic() + grace, signal.SIGTERM
    known: dict[int, float] = {}
    while True:
        now = _processes(job)
        known |= {pid: now[pid].started for pid in commands.family(command, now, _leader(job))}
        left = [pid for pid, started in known.items() if pid in now and now[pid].started == started]
        if not left or time.monotonic() > deadline + grace:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(0.2)
        if time.monotonic() > deadline:
            number = signal.SIGKILL


def _wait_empty(jobs: list[str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(_pids(job) for job in jobs):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _pids(job: str) -> list[int]:
    try:
        return [int(line) for line in (_GROUPS / job / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _processes(job: str) -> dict[int, commands.Process]:
    return commands.processes(_pids(job))


def _busy() -> list[str]:
    busy: list[str] = []
    for job in names():
        if job.startswith("t-"):
            continue
        if job.startswith("c-"):
            busy += [job] if _leader(job) else []
        else:
            started = commands.started_by_program(_processes(job), _leader(job))
            busy += [os.path.basename(process.program) for process in started]
    return busy


def _leader(job: str) -> int | None:
    """The process that waits for the job's program; None when that one has ended."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((_LEADERS / job).read_text())
        return pid if Path("/proc", str(pid)).exists() else None
    return None
