"""Collects the QEMU processes that libvirt leaves behind.

libvirt starts QEMU twice removed and waits until a killed one is *gone*; a zombie counts as there, and each costs it
up to 40 seconds. Where no init reaps orphans at once (containers) we do it: as subreaper they become our children.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_INTERVAL = 0.05


@functools.cache
def become_subreaper() -> None:
    """Orphans among our descendants become our children. Once a process."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_when_ended(pid: int) -> None:
    """A thread waits for this process, if it is our child, and collects it."""
    threading.Thread(target=_wait, args=(pid,), name=f"reap-{pid}", daemon=True).start()


@contextlib.contextmanager
def reaping() -> Iterator[None]:
    """While the body runs (a call of libvirt that may end processes), dead QEMUs are collected at once."""
    done = threading.Event()
    thread = threading.Thread(target=_collect_until, args=(done,), name="reap", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _collect_until(done: threading.Event) -> None:
    while not done.wait(_INTERVAL):
        for pid in _dead_children() if _one_is_dead() else ():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _one_is_dead() -> bool:
    """Whether it is worth to look which: to read every child of every thread costs more than the start of a machine."""
    with contextlib.suppress(ChildProcessError):
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return False


def _dead_children() -> list[int]:
    """Orphans that came to us. What we or libvirt start and wait for is in our session, or leads its own.

    Not told by their name: a machine's process may be killed before it has become QEMU.
    """
    dead, ours = [], os.getsid(0)
    for children in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in children.read_text().split():
                state, _, _, session = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[:4]
                if state == "Z" and int(session) not in (ours, int(pid)):
                    dead.append(int(pid))
    return dead


def _wait(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
