"""``skerry shell``: a terminal in an agent's machine, by way of the engine."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Annotated

import typer
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.sync.client import ClientConnection, unix_connect

from app.cli.place import ProjectOption, project_place
from app.cli.raw_terminal import raw_terminal, size, write_all
from app.config import Paths, load_project
from app.control import engine_info
from app.domain.errors import ConfigError, EngineError, HostError, NotFound, SandboxError, SandboxLost, SkerryError
from app.domain.terminal import FromPerson, TerminalWish, ToPerson, WindowSize

_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 1.0
_PIECE = 32_768
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

    Keys go to the machine, Ctrl-C too; Ctrl-D or 'exit' ends the shell. Without a terminal on both ends the bytes go
    through pipes: echo ls | skerry shell AGENT
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
        raise typer.Exit(_attend(connection, wish))


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
    try:
        connection.send(wish.model_dump_json())
        mode = contextlib.nullcontext() if wish.piped else raw_terminal()
        with mode, _keys(connection, resizes=not wish.piped):
            return _show(connection)
    except ConnectionClosed as error:
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


@contextlib.contextmanager
def _keys(connection: ClientConnection, *, resizes: bool) -> Iterator[None]:
    """Meanwhile a thread sends what is typed. It alone sends: a signal's handler must not, so it wakes the thread."""
    resized, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.signal(signal.SIGWINCH, lambda *_: _nudge(wake)) if resizes else None
    threading.Thread(target=_send_keys, args=(connection, resized), name="keys", daemon=True).start()
    try:
        yield
    finally:
        if resizes:
            signal.signal(signal.SIGWINCH, before)


def _nudge(wake: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.write(wake, b"\0")


def _send_keys(connection: ClientConnection, resized: int) -> None:
    keys = sys.stdin.fileno()
    waiting = [resized, keys]
    with contextlib.suppress(ConnectionClosed, OSError):
        while True:
            ready, _, _ = select.select(waiting, [], [])
            if resized in ready:
                os.read(resized, _PIECE)
                columns, rows = size()
                connection.send(FromPerson(resize=WindowSize(columns=columns, rows=rows)).model_dump_json())
            if keys in ready:
                data = os.read(keys, _PIECE)
                connection.send(data or FromPerson(end=True).model_dump_json())
                if not data:
                    waiting.remove(keys)
