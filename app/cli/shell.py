"""``skerry shell``: a terminal in an agent's machine, by way of the engine."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.sync.client import ClientConnection, unix_connect

from app.cli.output import INTERRUPTED, tell
from app.cli.place import ProjectOption, project_place
from app.cli.raw_terminal import raw_terminal, size, write_all
from app.config import Paths, load_project
from app.control import engine_info
from app.domain.errors import ConfigError, EngineError, HostError, NotFound, SandboxError, SandboxLost, SkerryError
from app.domain.terminal import FromPerson, TerminalWish, ToPerson, WindowSize

_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_PIECE = 32_768
_LEAVE, _LEAVE_PRESSES = b"\x1d", 3
_ERRORS: dict[str, type[SkerryError]] = {
    kind.code: kind for kind in (ConfigError, EngineError, HostError, NotFound, SandboxError, SandboxLost)
}


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command()(shell)


def shell(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Whose machine.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND…]", help="Run this instead of a shell.", show_default=False),
    ] = None,
    root: Annotated[bool, typer.Option("--root", help="As root instead of the agent's account.")] = False,
    project: ProjectOption = None,
) -> None:
    """Open a terminal in an agent's machine. Ends with the exit status of its shell or of COMMAND.

    Keys go to the machine, Ctrl-C too. Ctrl-D or 'exit' ends the shell; Ctrl-] three times leaves one that hangs.
    Without a terminal on both ends the bytes go through pipes: echo ls | skerry shell AGENT
    """
    loaded, paths = load_project(project_place(project)), Paths.from_environment()
    loaded.fleet.agent(agent)
    columns, rows = size()
    wish = TerminalWish(
        fleet=loaded.fleet_id,
        agent=agent,
        user="root" if root else "agent",
        command=_command(command or []),
        columns=columns,
        rows=rows,
        term=os.environ.get("TERM", ""),
        piped=not (sys.stdin.isatty() and sys.stdout.isatty()),
    )
    with _connected(paths) as connection:
        status = _attend(connection, wish)
    raise typer.Exit(status)


def _command(words: list[str]) -> str:
    """One word is a line for the shell, several are a program and its arguments."""
    return words[0] if len(words) == 1 else shlex.join(words)


@contextlib.contextmanager
def _connected(paths: Paths) -> Iterator[ClientConnection]:
    if engine_info(paths) is None:
        raise EngineError("no engine is running", operation="shell", hint="start the team with 'skerry run'")
    try:
        connection = unix_connect(
            str(paths.terminals),
            compression=None,
            proxy=None,
            ping_interval=None,
            open_timeout=_OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            max_queue=4,
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidMessage) as error:
        raise EngineError(f"the engine opens no terminal: {error}", hint="see engine.log, or 'skerry stop'") from error
    with connection:
        yield connection


def _attend(connection: ClientConnection, wish: TerminalWish) -> int:
    """Carry bytes until the program in the machine ends; its exit status. Raises SkerryError."""
    keys = _Keys(connection, resizes=not wish.piped)
    try:
        connection.send(wish.model_dump_json())
        with contextlib.nullcontext() if wish.piped else raw_terminal(), keys:
            return _show(connection)
    except ConnectionClosed as error:
        if keys.left:
            tell("left the terminal; what ran in it was hung up")
            return INTERRUPTED
        raise EngineError(
            "the engine has gone, and the terminal with it", operation="shell", hint="go on with 'skerry run'"
        ) from error


def _show(connection: ClientConnection) -> int:
    while True:
        message = connection.recv()
        if isinstance(message, bytes):
            write_all(sys.stdout.fileno(), message)
            continue
        end = ToPerson.model_validate_json(message)
        if end.exit is not None:
            return end.exit
        raise _ERRORS.get(end.code, SandboxError)(end.error, operation="shell", hint=end.hint)


class _Keys:
    """While entered, a thread sends what is typed. It alone sends: a signal's handler must not, so it wakes the thread.

    Ctrl-] three times within a second leaves, as a machine that hangs takes no Ctrl-C.
    """

    def __init__(self, connection: ClientConnection, *, resizes: bool) -> None:
        self.left = False
        self._connection, self._resizes = connection, resizes
        self._resized, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._pressed: list[float] = []
        self._before = signal.getsignal(signal.SIGWINCH)

    def __enter__(self) -> None:
        if self._resizes:
            signal.signal(signal.SIGWINCH, self._nudge)
        threading.Thread(target=self._send, name="keys", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGWINCH, self._before)

    def _nudge(self, *_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"\0")

    def _send(self) -> None:
        keys = sys.stdin.fileno()
        waiting = [self._resized, keys]
        with contextlib.suppress(ConnectionClosed, OSError):
            while True:
                ready, _, _ = select.select(waiting, [], [])
                if self._resized in ready:
                    self._send_size()
                if keys in ready and not self._send_typed(os.read(keys, _PIECE)):
                    waiting.remove(keys)

    def _send_size(self) -> None:
        os.read(self._resized, _PIECE)
        columns, rows = size()
        self._connection.send(FromPerson(resize=WindowSize(columns=columns, rows=rows)).model_dump_json())

    def _send_typed(self, data: bytes) -> bool:
        if self._resizes and self._leaves(data):
            self.left = True
            self._connection.close()
            return False
        self._connection.send(data or FromPerson(end=True).model_dump_json())
        return bool(data)

    def _leaves(self, data: bytes) -> bool:
        now, other = time.monotonic(), data.rstrip(_LEAVE)
        before = [] if other else [at for at in self._pressed if now - at < 1.0]
        self._pressed = before + [now] * (len(data) - len(other))
        return len(self._pressed) >= _LEAVE_PRESSES
