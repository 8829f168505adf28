"""Terminals for other processes of this user: a WebSocket server on a unix socket.

The first message says what is wanted (``TerminalWish``). Then binary messages are the terminal's bytes both ways, text
messages are ``FromPerson`` and ``ToPerson``. Nothing piles up here: who does not read is not sent to, and what comes is
read when the machine takes it. So there are no pings: a person may stop the output for an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from pydantic import ValidationError
from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from app.domain.errors import ConfigError, EngineError, SandboxLost, SkerryError
from app.domain.terminal import FromPerson, Terminal, TerminalWish, ToPerson

log = logging.getLogger(__name__)

OpenTerminal = Callable[[TerminalWish], Awaitable[Terminal]]
_WISH_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_LARGEST_MESSAGE = 1_048_576
_CREDENTIALS = struct.Struct("3i")


class TerminalServer:
    """Serves while entered; at the end it tells everybody that the engine stops and hangs up in the machines."""

    def __init__(self, path: Path, open_terminal: OpenTerminal) -> None:
        self._path, self._open = path, open_terminal
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        self._server = await unix_serve(
            self._serve,
            str(self._path),
            process_request=_only_ourselves,
            compression=None,
            ping_interval=None,
            close_timeout=_CLOSE_SECONDS,
            max_size=_LARGEST_MESSAGE,
            max_queue=4,
            server_header=None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is None:
            return
        stopped = EngineError("the engine has stopped", operation="terminal", hint="start it with 'skerry run'")
        await asyncio.gather(*(_refuse(connection, stopped) for connection in self._server.connections))
        self._server.close()
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            terminal = await self._open(await _wish(connection))
        except SkerryError as error:
            await _refuse(connection, error)
            return
        except ConnectionClosed:
            return
        try:
            await _carry(connection, terminal)
        finally:
            await terminal.close()


def _only_ourselves(connection: ServerConnection, _: Request) -> Response | None:
    peer: socket.socket = connection.transport.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    if _CREDENTIALS.unpack(credentials)[1] == os.getuid():
        return None
    return connection.respond(http.HTTPStatus.FORBIDDEN, "this engine serves its own user\n")


async def _wish(connection: ServerConnection) -> TerminalWish:
    try:
        async with asyncio.timeout(_WISH_SECONDS):
            return TerminalWish.model_validate_json(await connection.recv())
    except (TimeoutError, ValidationError, UnicodeDecodeError) as error:
        hint = "use a 'skerry' of the engine's version: skerry stop, skerry run"
        raise ConfigError(f"the engine does not understand what is wanted: {error}", hint=hint) from error


async def _carry(connection: ServerConnection, terminal: Terminal) -> None:
    """Until the program ends or the person goes."""
    tasks = [
        asyncio.create_task(work)
        for work in (_to_person(terminal, connection), _from_person(connection, terminal), connection.wait_closed())
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
                log.warning("a terminal ended with %r", outcome)


async def _to_person(terminal: Terminal, connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while data := await terminal.read():
            await connection.send(data)
        status = await terminal.wait()
        if status is None:
            lost = SandboxLost("the connection to the machine broke", hint="see how it is with 'skerry status'")
            await _refuse(connection, lost)
        else:
            await connection.send(ToPerson(exit=status).model_dump_json())
            await connection.close()


async def _from_person(connection: ServerConnection, terminal: Terminal) -> None:
    async for message in connection:
        if isinstance(message, bytes):
            await terminal.write(message)
            continue
        said = FromPerson.model_validate_json(message)
        if said.resize is not None:
            await terminal.resize(said.resize.columns, said.resize.rows)
        if said.end:
            await terminal.end_input()


async def _refuse(connection: ServerConnection, error: SkerryError) -> None:
    """Say why and hang up; who does not listen is hung up on all the same."""
    message = ToPerson(error=error.message, hint=error.hint, code=error.code).model_dump_json()
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await connection.send(message)
    await connection.close()
