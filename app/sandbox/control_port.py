"""The control channel to the guest agent: requests and answers as lines of JSON. All methods block.

The machine may have been taken over by what runs in it: answers are parsed strictly and never trusted for more than
the machine itself.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.domain.errors import SandboxError, SandboxLost

_LINE_LIMIT = 1_048_576
_WORDS = 500
_BURST_BYTES, _BYTES_PER_SECOND = 4 * 2**20, 2**20
_PING_SECONDS = 1.0
Answer = dict[str, Any]
_Pending = concurrent.futures.Future[Answer]


class SandboxTimeout(SandboxError):
    """The machine is there and did not answer in time."""


class ControlPort:
    """One connection, made when first needed and made again after it broke; safe to use from many threads.

    ``on_event`` hears, in a thread of ours, what the machine tells unasked.
    """

    def __init__(self, path: Path, on_event: Callable[[Answer], None] | None = None) -> None:
        self._path, self._on_event = path, on_event
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._pending: dict[str, _Pending] = {}

    def request(self, operation: str, wait: float, /, **fields: object) -> Answer:
        """Ask and wait at most ``wait`` seconds.

        Raises SandboxLost when there is no machine, SandboxError on time-out or refusal.
        """
        ident, pending = secrets.token_hex(8), _Pending()
        line = json.dumps({"id": ident, "op": operation, **fields}).encode() + b"\n"
        self._send(ident, pending, line)
        try:
            answer = pending.result(wait)
        except concurrent.futures.TimeoutError:
            message = f"the machine did not answer {operation!r} within {wait:.0f} s"
            raise SandboxTimeout(message, operation=operation) from None
        finally:
            self._pending.pop(ident, None)
        if answer.get("ok") is not True:
            raise SandboxError(
                f"the machine refused {operation!r}: {str(answer.get('error'))[:_WORDS]}", operation=operation
            )
        return answer

    def wait_answering(self, seconds: float) -> None:
        """Ask until there is an answer, at most ``seconds``. Raises SandboxLost or SandboxError.

        The guest drops an answer it has ready before its kernel has noticed that we are connected.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > _PING_SECONDS:
            with contextlib.suppress(SandboxTimeout):
                self.request("ping", _PING_SECONDS)
                return
        self.request("ping", max(left, 0.1))

    def close(self) -> None:
        """Safe to repeat; a later request connects again."""
        with self._lock:
            self._drop(self._socket)

    def _send(self, ident: str, pending: _Pending, line: bytes) -> None:
        with self._lock:
            try:
                connection = self._socket or self._connect()
                self._pending[ident] = pending
                connection.sendall(line)
            except OSError as error:
                self._drop(self._socket)
                raise SandboxLost("the machine's control channel is gone", operation="control channel") from error

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self._path))
            connection.sendall(b"\n")  # ends what an earlier host may have left half said
        except OSError:
            connection.close()
            raise
        self._socket = connection
        threading.Thread(target=self._receive, args=(connection,), name="control", daemon=True).start()
        return connection

    def _receive(self, connection: socket.socket) -> None:
        lines, budget = _Lines(), _Budget()
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                budget.spend(len(data))
                for line in lines.take(data):
                    self._answer(line)
        with self._lock:
            self._drop(connection)

    def _answer(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, RecursionError):
            answer = json.loads(line)
            if not isinstance(answer, dict):
                return
            if "event" in answer and self._on_event is not None:
                self._on_event(answer)
            elif isinstance(ident := answer.get("id"), str):
                pending = self._pending.get(ident)
                if pending is not None and not pending.done():
                    pending.set_result(answer)

    def _drop(self, connection: socket.socket | None) -> None:
        if connection is None or connection is not self._socket:
            return
        self._socket = None
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        for pending in list(self._pending.values()):
            if not pending.done():
                pending.set_exception(SandboxLost("the machine's control channel closed", operation="control channel"))


class _Lines:
    """Cuts a stream into lines; one that is longer than any answer is dropped as it comes."""

    def __init__(self) -> None:
        self._part, self._too_long = bytearray(), False

    def take(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._add(end)
            if not self._too_long:
                found.append(bytes(self._part))
            self._part, self._too_long = bytearray(), False
        self._add(rest)
        return found

    def _add(self, piece: bytes) -> None:
        if len(self._part) + len(piece) > _LINE_LIMIT:
            self._part, self._too_long = bytearray(), True
        if not self._too_long:
            self._part += piece


class _Budget:
    """A machine that floods us waits for its own words to be taken, and does not keep this process busy."""

    def __init__(self) -> None:
        self._left, self._since = float(_BURST_BYTES), time.monotonic()

    def spend(self, count: int) -> None:
        now = time.monotonic()
        earned = (now - self._since) * _BYTES_PER_SECOND
        self._left, self._since = min(_BURST_BYTES, self._left + earned) - count, now
        if self._left < 0:
            time.sleep(-self._left / _BYTES_PER_SECOND)
