"""Requests of the host: one JSON object a line, answered by one line with the same ``id``."""

import contextlib
import json
import os
import select
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from guest import identity, jobs, limits, ports

_LINE_LIMIT = 1_048_576
_STUCK_SECONDS = 5.0
_ARRIVAL_SECONDS = 1.0
Request = dict[str, Any]


class Control:
    """The control port: answers requests, tells the host what it could not know."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writing = threading.Lock()

    def serve(self) -> None:
        """Never returns. Each request has its own thread: a long wait must not hold up a kill."""
        poller = ports.watch(self._port)
        buffer = b""
        while True:
            data = ports.read_available(self._port)
            if not data:
                poller.poll()
                continue
            *lines, buffer = (buffer + data).split(b"\n")
            buffer = buffer[-_LINE_LIMIT:]
            for line in lines:
                threading.Thread(target=self._handle, args=(line,), daemon=True).start()

    def tell(self, message: Request) -> None:
        """One line to the host; dropped when it is away."""
        with self._writing:
            _write(self._port, json.dumps(message).encode() + b"\n")

    def _handle(self, line: bytes) -> None:
        try:
            request = json.loads(line)
            ident, operation = request["id"], _OPERATIONS[request["op"]]
        except (ValueError, KeyError, TypeError):
            return  # the tail of a line whose host went away
        try:
            answer = {"id": ident, "ok": True, **operation(request)}
        except Exception as error:
            answer = {"id": ident, "ok": False, "error": f"{type(error).__name__}: {error}"}
        self.tell(answer)


def _write(port: int, data: bytes) -> None:
    """All of ``data``, unless the host is away."""
    with contextlib.closing(ports.watch(port)) as changed:
        while data:
            try:
                data = data[os.write(port, data) :]
            except BlockingIOError:
                if not _wait_writable(changed):
                    return


def _wait_writable(changed: select.epoll) -> bool:
    """False when the host is away or takes nothing.

    A request may be read before the kernel knows that the host has connected: for that moment it looks away.
    """
    events = changed.poll(_STUCK_SECONDS)
    if any(event & select.EPOLLHUP for _, event in events):
        events = changed.poll(_ARRIVAL_SECONDS)
    return bool(events)


def _ping(_: Request) -> Request:
    return {"version": 1}


def _quiesce(request: Request) -> Request:
    return {"busy": jobs.wait_quiet(float(request["timeout"]))}


def _kill(request: Request) -> Request:
    return {"ended": jobs.end([str(request["job"])], float(request.get("grace", 2.0)))}


def _jobs(_: Request) -> Request:
    return {"jobs": jobs.names()}


def _sync(_: Request) -> Request:
    os.sync()
    return {}


def _poweroff(_: Request) -> Request:
    jobs.end_all(grace=2.0)
    os.sync()
    threading.Timer(0.1, _cut_power).start()  # the answer goes first
    return {}


def _cut_power() -> None:
    with open("/proc/sysrq-trigger", "w") as trigger:
        trigger.write("u")  # disks read-only, all written
    subprocess.run(["/bin/busybox", "poweroff", "-f"], check=False)


def _stats(_: Request) -> Request:
    memory = {}
    with open("/proc/meminfo") as lines:
        for line in lines:
            name, value = line.split(":")
            memory[name] = int(value.split()[0]) * 1024
    disk = os.statvfs("/")
    return {
        "memory_total": memory["MemTotal"],
        "memory_available": memory["MemAvailable"],
        "disk_total": disk.f_blocks * disk.f_frsize,
        "disk_free": disk.f_bavail * disk.f_frsize,
        "load": os.getloadavg()[0],
        "jobs": jobs.names(),
    }


_OPERATIONS: dict[str, Callable[[Request], Request]] = {
    "ping": _ping,
    "personalise": identity.personalise,
    "clock": identity.set_clock,
    "limits": limits.apply,
    "quiesce": _quiesce,
    "kill": _kill,
    "jobs": _jobs,
    "sync": _sync,
    "poweroff": _poweroff,
    "stats": _stats,
}
