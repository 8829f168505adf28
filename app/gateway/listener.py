"""One unix socket served by uvicorn on the running loop: private, replacing what a killed engine left there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from app.domain.errors import GatewayError

MAX_SOCKET_PATH = 107
MAX_CONNECTIONS = 32
"""Of one guest at the same time; more are told 503 and disturb nobody else."""
KEEP_ALIVE_SECONDS = 600
# Longer than any client keeps an idle connection: a close that crosses a tool call on the way would fail the call.
GRACE_SECONDS = 2


class Listener:
    """A started server on one socket."""

    def __init__(self, path: Path, server: _Server, task: asyncio.Task[None]) -> None:
        self.path = path
        self._server = server
        self._task = task

    @classmethod
    async def open(cls, path: Path, app: ASGIApp) -> Listener:
        """Serve ``app`` on ``path``. Raises GatewayError when the socket cannot be made."""
        sock = bind_private(path)
        server = _Server(_config(app))
        task = asyncio.create_task(server.serve(sockets=[sock]), name=f"door {path.name}")
        while not server.started:
            if task.done():
                sock.close()
                raise GatewayError(f"the door {path} could not be served", operation="open door") from task.exception()
            await asyncio.sleep(0.005)
        return cls(path, server, task)

    @property
    def alive(self) -> bool:
        """Whether it still serves, and its socket is where it was put."""
        return not self._task.done() and self.path.is_socket()

    async def close(self) -> None:
        """Take no new connections, let running requests end for two seconds, remove the socket."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self._server.should_exit = True
        self._server.leave.set()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()


def bind_private(path: Path) -> socket.socket:
    """A listening unix socket at ``path``, mode 0600, its folder 0700; an old socket there is replaced.

    It is bound under another name and moved in place, so that nobody ever meets it with other rights.
    Raises GatewayError.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH - 5:
        raise _failure(path, "its path is too long for a unix socket", "choose a shorter runtime folder")
    waiting = path.with_name(f".{secrets.token_hex(2)}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(path.parent)
        if path.exists() and not path.is_socket():
            raise _failure(path, "something else has its name", f"move {path} away")
        sock.bind(str(waiting))
        waiting.chmod(0o600)
        sock.listen(128)
        waiting.rename(path)
    except OSError as error:
        sock.close()
        waiting.unlink(missing_ok=True)
        raise _failure(path, error.strerror or str(error), "see that the folder can be written") from None
    except GatewayError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _check_folder(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise _failure(folder, "the folder belongs to another user", "choose another runtime folder")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _failure(path: Path, reason: str, hint: str) -> GatewayError:
    return GatewayError(f"cannot make the door {path}: {reason}", operation="open door", hint=hint)


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        ws="none",
        http="h11",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class _Server(uvicorn.Server):
    """A server that leaves the process's signal handlers alone (they are the engine's) and sleeps when nobody calls."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leave = asyncio.Event()

    async def main_loop(self) -> None:
        # uvicorn's own loop wakes ten times a second, for each door, to keep a date that nobody needs.
        await self.on_tick(0)
        await self.leave.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
