"""Jobs: what the host started, each in its own control group under /sys/fs/cgroup/jobs.

A job called ``c-…`` is a command that ends by itself; ``p-…`` is a program that stays, such as a coding agent;
``t-…`` is a person's terminal, which nobody waits for.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup/jobs")
_LEADERS = Path("/run/skerry/jobs")
_PACKS = "/opt/packs/"
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


def _busy() -> list[str]:
    busy: list[str] = []
    for job in names():
        if job.startswith("t-"):
            continue
        if job.startswith("c-"):
            busy += [job] if _leader(job) else []
        else:
            busy += _commands_of(job)
    return busy


def _leader(job: str) -> int | None:
    """The process that waits for the job's program; None when that one has ended."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((_LEADERS / job).read_text())
        return pid if Path("/proc", str(pid)).exists() else None
    return None


def _commands_of(job: str) -> list[str]:
    """What a pack's program started; without one, all but the job's own program."""
    leader, parents, programs = _leader(job), {}, {}
    for pid in _pids(job):
        with contextlib.suppress(OSError):
            programs[pid] = os.readlink(f"/proc/{pid}/exe")
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    packed = {pid for pid, program in programs.items() if program.startswith(_PACKS)}
    return [
        os.path.basename(program)
        for pid, program in programs.items()
        if pid not in packed and (packed & _ancestors(pid, parents) if packed else parents.get(pid) != leader)
    ]


def _ancestors(pid: int, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    while (pid := parents.get(pid, 0)) and pid not in found:
        found.add(pid)
    return found
