"""Carries one SSH session between the virtio port and ``sshd -i``.

A port has no notion of a connection: the guest cannot see where one session ends and the next begins. The host
therefore opens each session with MAGIC and a nonce; the old session and all it started are ended, and both are
echoed so that the host can tell old bytes from new ones.
"""

import contextlib
import os
import select
import socket
import subprocess
from collections.abc import Callable

from guest import jobs, ports

MAGIC = b"\0skerry-session-reset-v1\0"
NONCE_BYTES = 16
_OUT_LIMIT = 262_144
_SERVER = ["/usr/sbin/sshd", "-i", "-f", "/usr/lib/skerry/sshd_config"]


class Bridge:
    """Bytes from the port go to the server at once; bytes of the server go to the port."""

    def __init__(self, port: int, tell: Callable[[dict[str, str]], None]) -> None:
        self._port, self._tell = port, tell
        self._poller = ports.watch(port)
        self._tail = b""
        self._nonce: bytes | None = None
        self._session = ""
        self._server: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._to_server = bytearray()
        self._to_host = bytearray()

    def serve(self) -> None:
        """Never returns."""
        while True:
            while any([self._read_port(), self._write_server(), self._read_server(), self._write_port()]):
                pass
            self._poller.poll()

    def _read_port(self) -> bool:
        data = ports.read_available(self._port)
        if not data:
            return False
        window = self._tail + data
        at = window.rfind(MAGIC)
        if at >= 0:
            self._end_session()
            window = data = window[at + len(MAGIC) :]
            self._nonce = b""
        self._tail = window[-(len(MAGIC) - 1) :]
        if self._nonce is not None:
            data = self._collect_nonce(data)
        if self._socket is not None:
            self._to_server += data
        return True

    def _collect_nonce(self, data: bytes) -> bytes:
        collected = (self._nonce or b"") + data
        if len(collected) < NONCE_BYTES:
            self._nonce = collected
            return b""
        self._nonce = None
        self._start_session(collected[:NONCE_BYTES])
        return collected[NONCE_BYTES:]

    def _start_session(self, nonce: bytes) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(_SERVER, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
        ours.setblocking(False)
        self._poller.register(ours, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        self._socket = ours
        self._to_host = bytearray(MAGIC + nonce)
        self._session = nonce.hex()

    def _end_session(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
        self._drop_socket()
        self._to_server.clear()
        self._to_host.clear()
        jobs.end_all(grace=2.0)

    def _server_ended(self) -> None:
        """The host sees no end of file on a port, so it is told."""
        self._drop_socket()
        self._tell({"event": "session_ended", "session": self._session})

    def _drop_socket(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._poller.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _write_server(self) -> bool:
        if self._socket is None or not self._to_server:
            return False
        try:
            sent = self._socket.send(self._to_server)
        except BlockingIOError:
            return False
        except OSError:
            self._server_ended()
            return False
        del self._to_server[:sent]
        return True

    def _read_server(self) -> bool:
        if self._socket is None or len(self._to_host) > _OUT_LIMIT:
            return False
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._server_ended()
        self._to_host += data
        return bool(data)

    def _write_port(self) -> bool:
        if not self._to_host:
            return False
        try:
            sent = os.write(self._port, self._to_host[:32768])
        except BlockingIOError:
            return False
        del self._to_host[:sent]
        return sent > 0
