"""What makes this machine itself. Clones of one template are equal to the last random byte until they were here."""

import contextlib
import fcntl
import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

from guest import limits

_RNDADDENTROPY = 0x40085203
_RNDRESEEDCRNG = 0x5207


def personalise(request: dict[str, Any]) -> dict[str, Any]:
    """Entropy first, then the clock and the names, the keys of the SSH server, what jobs may take."""
    _reseed(bytes.fromhex(request["seed"]))
    set_clock(request)
    _rename(request["hostname"], request["machine_id"])
    _write("/run/skerry/hostkey", bytes.fromhex(request["hostkey"]), 0o600)
    _write("/run/skerry/authorized_keys", request["authorized_key"].encode() + b"\n", 0o600)
    limits.apply(request["limits"])
    return {}


def set_clock(request: dict[str, Any]) -> dict[str, Any]:
    """Set the real-time clock to the host's."""
    time.clock_settime(time.CLOCK_REALTIME, float(request["time"]))
    return {}


def _reseed(seed: bytes) -> None:
    with open("/dev/urandom", "wb", buffering=0) as pool:
        fcntl.ioctl(pool, _RNDADDENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
        fcntl.ioctl(pool, _RNDRESEEDCRNG)


def _rename(hostname: str, machine_id: str) -> None:
    socket.sethostname(hostname)
    with contextlib.suppress(OSError):  # a disk that the agent filled must not keep its machine from starting
        _write("/etc/hostname", hostname.encode() + b"\n", 0o644)
        _write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n".encode(), 0o644)
        _write("/etc/machine-id", machine_id.encode() + b"\n", 0o444)


def _write(path: str, data: bytes, mode: int) -> None:
    draft = Path(path + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    draft.replace(path)
