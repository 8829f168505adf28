"""SSH to a machine over its virtio-serial channel: session reset, pinned host key, reconnection. All methods block."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import paramiko

from app.domain.errors import SandboxError
from app.sandbox.forward import Doorway
from app.sandbox.keys import MachineKeys
from app.sandbox.ssh_io import OrderedTransport

MAGIC = b"\0skerry-session-reset-v1\0"
NONCE_BYTES = 16
DOOR_PORT = 8080
_CIPHERS = ("aes128-ctr", "aes256-ctr")
_KEEPALIVE_SECONDS = 60
_ACCOUNT = "host"
_LOG = "skerry.ssh"
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PseudoTerminal:
    """The kind and the size of the terminal a program is to believe in."""

    term: str
    columns: int
    rows: int


class ServerSilent(SandboxError):
    """The machine's SSH server is connected and says nothing."""

    def __init__(self, transport: paramiko.Transport) -> None:
        super().__init__("the machine's SSH server does not answer", operation="start a command")
        self.transport = transport


class _HeardSocket(socket.socket):
    """Knows when something came last."""

    heard = 0.0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        data = super().recv(size, flags)
        self.heard = time.monotonic()
        return data


class Channel:
    """One SSH transport at a time; ``start`` runs a command on it, connecting again when it broke.

    Every new transport ends the programs the old one started (the guest sees to it), so that nothing runs twice.
    """

    def __init__(self, path: Path, keys: MachineKeys, door: Path) -> None:
        self._path, self._keys, self._door = path, keys, door
        self._lock = threading.Lock()
        self._transport: paramiko.Transport | None = None
        self._session = ""
        self._closed = False

    def connect(self, timeout: float) -> None:
        """Have a transport. Raises SandboxError."""
        with self._lock:
            self._live_transport(timeout)

    def start(self, command: bytes, pty: PseudoTerminal | None = None) -> paramiko.Channel:
        """A new SSH channel in which ``command`` has been started, behind ``pty`` if there is one.

        Raises ServerSilent when the SSH server says nothing at all for ``START_SECONDS``, SandboxError.
        """
        with self._lock:
            transport = self._live_transport(START_SECONDS)
        deadline = time.monotonic() + START_SECONDS
        with _translated("start a command"), _silence_noticed(transport):
            channel = transport.open_session(timeout=START_SECONDS)
            with _closed_at(deadline, channel):  # paramiko would wait for the answers for ever
                if pty is not None:
                    channel.get_pty(pty.term, pty.columns, pty.rows)
                channel.exec_command(command)
            return channel

    def close(self) -> None:
        """Safe to repeat; the channel cannot be used again."""
        with self._lock:
            self._closed = True
            if self._transport is not None:
                self._transport.close()
                self._transport = None

    def heard(self, event: Mapping[str, object]) -> None:
        """The machine tells that its SSH server ended; a virtio port shows no end of file."""
        transport = self._transport
        if event.get("event") == "session_ended" and event.get("session") == self._session and transport is not None:
            transport.close()

    def _live_transport(self, timeout: float) -> paramiko.Transport:
        if self._closed:
            raise SandboxError("the channel to the machine was closed", operation="connect")
        if self._transport is None or not self._transport.is_active():
            if self._transport is not None:
                self._transport.close()
            self._transport = self._connect(timeout)
        return self._transport

    def _connect(self, timeout: float) -> paramiko.Transport:
        logging.getLogger(_LOG).setLevel(logging.CRITICAL)  # what fails is raised, not logged
        with _translated("connect to the machine"):
            nonce = secrets.token_bytes(NONCE_BYTES)
            connection = open_session_stream(self._path, nonce, timeout)
            self._session = nonce.hex()
            transport = OrderedTransport(connection)
            try:
                self._log_in(transport, timeout)
            except BaseException:
                transport.close()
                raise
            return transport

    def _log_in(self, transport: paramiko.Transport, timeout: float) -> None:
        transport.set_log_channel(_LOG)
        transport.get_security_options().ciphers = _CIPHERS
        transport.start_client(timeout=timeout)
        if transport.get_remote_server_key().asbytes() != self._keys.pinned:
            raise SandboxError("the machine shows a host key that is not its own", operation="connect")
        transport.auth_timeout = timeout
        transport.auth_publickey(_ACCOUNT, self._keys.login)
        transport.set_keepalive(_KEEPALIVE_SECONDS)
        transport.request_port_forward("127.0.0.1", DOOR_PORT, _door_handler(self._door))


def open_session_stream(path: Path, nonce: bytes, timeout: float) -> socket.socket:
    """A connected socket whose next byte is the first of a fresh SSH server. Raises OSError or TimeoutError."""
    connection = _HeardSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(MAGIC + nonce)
        await_marker(connection.recv, MAGIC + nonce)
    except BaseException:
        connection.close()
        raise
    return connection


def await_marker(receive: Callable[[int], bytes], marker: bytes) -> None:
    """Read up to the end of ``marker`` and not a byte more; what comes before it belongs to an older session."""
    seen = b""
    while seen != marker:
        data = receive(len(marker) - len(seen))
        if not data:
            raise OSError("the machine closed its SSH channel")
        seen += data
        while not marker.startswith(seen):
            seen = seen[1:]


def _door_handler(door: Path) -> Callable[[paramiko.Channel, tuple[str, int], tuple[str, int]], None]:
    doorway = Doorway(door)
    return lambda channel, _origin, _server: doorway.forward(channel)


@contextlib.contextmanager
def _closed_at(deadline: float, channel: paramiko.Channel) -> Iterator[None]:
    timer = threading.Timer(max(deadline - time.monotonic(), 0), channel.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _silence_noticed(transport: paramiko.Transport) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    except paramiko.SSHException as error:
        silent = isinstance(transport.sock, _HeardSocket) and transport.sock.heard < began
        if silent and time.monotonic() - began >= START_SECONDS:
            raise ServerSilent(transport) from error
        raise


@contextlib.contextmanager
def _translated(operation: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, paramiko.SSHException) as error:
        detail = str(error) or type(error).__name__
        raise SandboxError(f"could not {operation}: {detail}", operation=operation) from error
