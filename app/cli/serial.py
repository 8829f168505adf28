"""The serial port of an agent's machine, for ``skerry console --serial``: its log, and a root shell on it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Generator
from io import BufferedReader
from pathlib import Path

from app.activities.member import machine_name
from app.cli.output import plain, say, tell
from app.cli.raw_terminal import raw_terminal, write_all
from app.config import Paths
from app.domain.errors import ConfigError, NotFound
from app.sandbox.machine import Machine

POLL_SECONDS = 0.2
_LEAVE = b"\x1d"
_PIECE = 4096
_LINE_BYTES = 16_384


def serial_port(paths: Paths, fleet: str, agent: str) -> Machine:
    """The agent's machine, whether it runs or not."""
    name = machine_name(fleet, agent)
    return Machine(name, paths.machine(name), paths.machine_sockets)


def show_log(machine: Machine, agent: str, *, follow: bool) -> None:
    """What the machine has said on its serial port; with ``follow``, what it goes on to say, until Ctrl-C.

    Raises NotFound.
    """
    if not machine.console_log.exists() and not follow:
        raise NotFound(
            f"the machine of {agent} has said nothing yet", operation="console", hint="start the team with 'skerry run'"
        )
    for line in log_lines(machine.console_log, follow=follow):
        say(plain(line.decode("utf-8", "replace")))


def attach(machine: Machine, agent: str) -> None:
    """The terminal becomes the one on the machine's serial port, until Ctrl-]. Raises ConfigError, NotFound."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("--interactive needs a terminal", operation="console", hint="leave it out to read the log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as port:
        try:
            port.connect(str(machine.serial_socket))
        except OSError:
            hint = "'skerry run' starts it; its last words: --serial without --interactive"
            raise NotFound(f"the machine of {agent} does not run", operation="console", hint=hint) from None
        tell(f"the serial port of {agent}'s machine, for root; Enter opens a shell, Ctrl-] leaves")
        with raw_terminal():
            left = _carry(port)
    tell("left the serial port" if left else "the machine has closed its serial port")


def _carry(port: socket.socket) -> bool:
    """Bytes both ways; True when the person left, False when the machine did."""
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    while True:
        ready, _, _ = select.select([keys, port], [], [])
        if port in ready:
            data = port.recv(_PIECE)
            if not data:
                return False
            write_all(screen, data)
        if keys in ready:
            typed = os.read(keys, _PIECE)
            before, leave, _ = typed.partition(_LEAVE)
            port.sendall(before)
            if leave or not typed:
                return True


def log_lines(path: Path, *, follow: bool) -> Generator[bytes, None, None]:
    """Lines, very long ones in pieces; goes on in a file that has taken the old one's place."""
    begun = b""
    with contextlib.ExitStack() as stack:
        file: BufferedReader | None = None
        while True:
            if file is None and path.exists():
                file = stack.enter_context(path.open("rb"))
            piece = file.readline(_LINE_BYTES) if file is not None else b""
            if piece:
                begun += piece
                if piece.endswith(b"\n") or len(begun) >= _LINE_BYTES or not follow:
                    yield begun.rstrip(b"\r\n")
                    begun = b""
                continue
            if not follow:
                return
            if file is not None and _replaced(file, path):
                stack.close()
                file = None
            time.sleep(POLL_SECONDS)


def _replaced(file: BufferedReader, path: Path) -> bool:
    """Whether the name is another file's now, or the file begins anew."""
    held = os.fstat(file.fileno())
    try:
        named = path.stat()
    except FileNotFoundError:
        return True
    return (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino) or named.st_size < file.tell()
