"""One engine per user: a lock that dies with its holder, and a file that tells others how to reach it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from app.domain.errors import EngineRunning

_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """A running engine: process id, Temporal's address and the address of its web window."""

    pid: int
    version: str
    temporal: str
    temporal_ui: str
    started_at: str


class InstanceLock:
    """Held by the engine as long as it lives. The kernel lets go of it when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def __enter__(self) -> Self:
        """Take the lock. Raises EngineRunning naming who has it."""
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not self._take():
            holder = os.read(self._handle, 200).decode(errors="replace").strip()
            os.close(self._handle)
            raise EngineRunning(
                f"another engine runs already ({holder or 'it is just starting'})",
                operation="start the engine",
                hint="use it, or end it with 'skerry stop'",
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"pid {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode(), 0)
        return self

    def _take(self) -> bool:
        """Take the lock; patient for a moment, as whoever asks for its holder has it for an instant."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
                time.sleep(0.02)
            else:
                return True

    def __exit__(self, *_: object) -> None:
        os.ftruncate(self._handle, 0)
        os.close(self._handle)


def lock_holder(path: Path) -> int | None:
    """The process id of the engine that holds the lock, 0 when it holds it but has not said who it is, else None."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        words = os.read(handle, 200).decode(errors="replace").replace(",", " ").split()
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    else:
        return None
    finally:
        os.close(handle)


def write_ready(path: Path, info: EngineInfo) -> None:
    """Say that the engine can be used; the file appears whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(info)), encoding="utf-8")
    temporary.chmod(0o600)
    temporary.replace(path)


def read_ready(path: Path, lock: Path) -> EngineInfo | None:
    """The engine that can be used now, or None. A file that a killed engine left counts for nothing."""
    try:
        info = EngineInfo(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return info if lock_holder(lock) == info.pid else None
