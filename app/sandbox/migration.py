"""A paused machine's state as a file, its RAM left out: that stays in the file it is mapped from.

QEMU streams the state over a unix socket; it may start no programs, and older ones know no plain files.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

from app.domain.errors import SandboxError
from app.sandbox.hypervisor import Hypervisor

_SECONDS = 60.0
_INTERVAL = 0.01
_SOCKET = "state.s"  # the walls around QEMU leave it no other folder for one
_BANDWIDTH = 1 << 40  # bytes a second: as fast as it goes
_FAILED = ("failed", "cancelled")


def save_state(hypervisor: Hypervisor, name: str, state: Path) -> None:
    """Write the state of a paused machine with shared RAM. Raises SandboxError or OSError."""
    meeting = hypervisor.meeting_place(name) / _SOCKET
    _ignore_shared_ram(hypervisor, name, True)
    hypervisor.monitor(name, "migrate-set-parameters", {"max-bandwidth": _BANDWIDTH})
    meeting.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, contextlib.suppress(FileNotFoundError):
        listener.bind(str(meeting))
        listener.listen(1)
        listener.settimeout(_SECONDS)
        writer = threading.Thread(target=_receive, args=(listener, state), name="save-state", daemon=True)
        writer.start()
        hypervisor.monitor(name, "migrate", {"uri": f"unix:{meeting}"})
        _wait_completed(hypervisor, name)
        writer.join(_SECONDS)
        meeting.unlink()


def load_state(hypervisor: Hypervisor, name: str, state: Path) -> None:
    """Give a machine that waits for it its state; it is paused afterwards.

    Raises SandboxError or OSError; the machine may have ended then.
    """
    meeting = hypervisor.meeting_place(name) / _SOCKET
    meeting.unlink(missing_ok=True)
    _ignore_shared_ram(hypervisor, name, True)
    hypervisor.monitor(name, "migrate-incoming", {"uri": f"unix:{meeting}"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, state.open("rb") as file:
        connection.settimeout(_SECONDS)
        connection.connect(str(meeting))
        meeting.unlink(missing_ok=True)
        connection.sendfile(file)
    _wait_completed(hypervisor, name)


def send_all_ram(hypervisor: Hypervisor, name: str) -> None:
    """From now on a saved state holds the RAM as well, as libvirt expects when it reads one. Raises SandboxError."""
    _ignore_shared_ram(hypervisor, name, False)


def _ignore_shared_ram(hypervisor: Hypervisor, name: str, ignore: bool) -> None:
    wanted = [{"capability": "x-ignore-shared", "state": ignore}]
    hypervisor.monitor(name, "migrate-set-capabilities", {"capabilities": wanted})


def _receive(listener: socket.socket, state: Path) -> None:
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection, state.open("wb") as file:
            while data := connection.recv(1 << 20):
                file.write(data)


def _wait_completed(hypervisor: Hypervisor, name: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while (status := hypervisor.monitor(name, "query-migrate", {}).get("status")) != "completed":
        if status in _FAILED or time.monotonic() > deadline:
            raise SandboxError(f"the machine's state could not be moved ({status})", operation="move the state")
        time.sleep(_INTERVAL)
