"""Virtio-serial ports, found by name."""

import os
import select
import time
from pathlib import Path

_PORTS = Path("/sys/class/virtio-ports")


def open_port(name: str) -> int:
    """A non-blocking descriptor of the port called ``name``."""
    deadline = time.monotonic() + 10
    while True:
        for port in _PORTS.iterdir():
            if (port / "name").read_text().strip() == name:
                return os.open(f"/dev/{port.name}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        if time.monotonic() > deadline:
            raise FileNotFoundError(f"no virtio port is called {name}")
        time.sleep(0.02)


def watch(port: int) -> select.epoll:
    """An edge-triggered watch on a port.

    A port whose host side is closed is readable for ever (end of file); only edges let us sleep until the host comes.
    """
    poller = select.epoll()
    poller.register(port, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
    return poller


def read_available(port: int) -> bytes:
    """What is there now; empty when there is nothing, or when the host is away."""
    try:
        return os.read(port, 65536)
    except BlockingIOError:
        return b""
