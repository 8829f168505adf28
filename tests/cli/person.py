"""A person at a terminal of the host: starts a command on it, types, and reads what is there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Person:
    """One command on a pseudo-terminal of its own, which is its controlling terminal."""

    def __init__(self, command: Sequence[str], cwd: Path, *, columns: int = 100, rows: int = 30) -> None:
        self._keys, self._screen = pty.openpty()
        self.resize(columns, rows)
        self._before = termios.tcgetattr(self._screen)
        self.seen = ""
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=self._screen,
            stdout=self._screen,
            stderr=self._screen,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509
        )

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._keys, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def types(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def sees(self, words: str, seconds: float = 60) -> str:
        """What came until ``words`` did."""
        end = time.monotonic() + seconds
        while words not in self.seen:
            assert self._read(end - time.monotonic()), f"{words!r} did not come: {self.seen!r}"
        found, _, self.seen = self.seen.partition(words)
        return found + words

    def ends(self, seconds: float = 60) -> int:
        """Its exit status; what is left on the screen is in ``seen``."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            self._read(0.1)
            assert time.monotonic() < end, self.seen
        while self._read(0.1):
            pass
        return self.process.wait()

    @property
    def modes_changed(self) -> list[Any]:
        """Settings of the terminal that are not as they were."""
        now = termios.tcgetattr(self._screen)
        return [pair for pair in zip(self._before, now, strict=True) if pair[0] != pair[1]]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._keys)
        os.close(self._screen)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._keys], [], [], max(seconds, 0))
        if ready:
            self.seen += os.read(self._keys, 65536).decode("utf-8", "replace")
        return bool(ready)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
