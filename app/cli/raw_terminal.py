"""The user's terminal given to a program in a machine, and taken back in order whatever that program did to it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_MOUSE = "\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l"
_REPORTS = "\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[?2031l\x1b[?2048l"
_KEYS = "\x1b[?1l\x1b>\x1b[>4;0m\x1b[=0;1u"
_LOOK = "\x1b[!p\x1b[?25h\x1b[?7h\x1b[?5l\x1b[4l\x1b(B\x0f\x1b[0m"
RESET = f"\x1b\\\x1b7\x1b[?1049l{_MOUSE}{_REPORTS}{_KEYS}{_LOOK}"
"""What undoes the modes a program may have left behind, and keeps what is on the screen.

First the end of a string that was left open. Leaving the alternate screen restores the cursor: it is saved before, in
case we are not there.
"""


@contextlib.contextmanager
def raw_terminal() -> Iterator[None]:
    """Keys go through one by one, unprocessed. The terminal is restored when the body ends and on TERM and HUP.

    Answers of the terminal to questions a program asked it are thrown away: the user's shell must not read them.
    """
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    handlers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setraw(keys, termios.TCSADRAIN)
        yield
    finally:
        with contextlib.suppress(OSError):  # the terminal's window may have been closed
            if sys.stdout.isatty():
                write_all(sys.stdout.fileno(), RESET.encode())
        with contextlib.suppress(termios.error):
            termios.tcsetattr(keys, termios.TCSAFLUSH, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def size() -> tuple[int, int]:
    """Columns and rows of the terminal."""
    for stream in (sys.stdout, sys.stdin):
        with contextlib.suppress(OSError):
            found = os.get_terminal_size(stream.fileno())
            if found.columns and found.lines:
                return found.columns, found.lines
    return 80, 24


def write_all(target: int, data: bytes) -> None:
    """All of ``data``. Raises OSError."""
    while data:
        data = data[os.write(target, data) :]


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
