"""Which processes of a job are the agent's program and which are commands it started."""

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

_PACKS = "/opt/packs/"
_TICKS = os.sysconf("SC_CLK_TCK")
_WORDS = 200


class Process(NamedTuple):
    """``started`` is in seconds since the machine's boot."""

    pid: int
    parent: int
    started: float
    program: str


def processes(pids: list[int]) -> dict[int, Process]:
    """Those of the processes that still live."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            program = os.readlink(f"/proc/{pid}/exe")
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            found[pid] = Process(pid, int(stat[1]), int(stat[19]) / _TICKS, program)
    return found


def started_by_program(all_of_job: dict[int, Process], leader: int | None) -> list[Process]:
    """What a pack's program started; without one, all but the job's own program."""
    packed = {pid for pid, process in all_of_job.items() if process.program.startswith(_PACKS)}
    return [
        process
        for pid, process in all_of_job.items()
        if pid not in packed and (packed & _ancestors(pid, all_of_job) if packed else process.parent != leader)
    ]


def commands(all_of_job: dict[int, Process], leader: int | None) -> list[Process]:
    """The uppermost processes of what the program started: one a command. What was left behind is none."""
    started = {process.pid for process in started_by_program(all_of_job, leader)}
    return [all_of_job[pid] for pid in started if (parent := all_of_job[pid].parent) not in started and parent != 1]


def family(command: Process, all_of_job: dict[int, Process], leader: int | None) -> list[int]:
    """The command, what is below it, and what left it for a life of its own.

    The kernel does not remember whose child an orphan was: those begun during this command count as its own.
    """
    found = []
    for pid, process in all_of_job.items():
        above = {pid, *_ancestors(pid, all_of_job)}
        orphan = not above & {leader or 0} and process.started >= command.started
        if command.pid in above or orphan:
            found.append(pid)
    return found


def age(process: Process) -> float:
    """Seconds it has been running; time in which the machine stood still does not count."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - process.started


def words(process: Process) -> str:
    """Its command line, cut short."""
    with contextlib.suppress(OSError):
        line = Path(f"/proc/{process.pid}/cmdline").read_bytes()[: 4 * _WORDS]
        return line.replace(b"\0", b" ").decode(errors="replace").strip()[:_WORDS]
    return os.path.basename(process.program)


def _ancestors(pid: int, all_of_job: dict[int, Process]) -> set[int]:
    found: set[int] = set()
    while pid in all_of_job and (pid := all_of_job[pid].parent) and pid not in found:
        found.add(pid)
    return found
