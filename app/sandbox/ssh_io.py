"""Bytes through an SSH channel, so that none goes astray when the channel closes at that moment.

paramiko decides under a lock what to send, and sends it after letting go of the lock; meanwhile another thread may
have closed the channel. The server takes such a late message for one to the next channel of that number, or for a
breach of protocol and ends the whole session with all that runs in it. Here a message is sent before the channel's
close, or not at all. All reading and writing of channels goes through this module (reading sends window updates).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import paramiko


class OrderedTransport(paramiko.Transport):
    """Knows on behalf of which channel a thread sends, and drops what comes after that channel's close."""

    def __init__(self, connection: Any) -> None:
        self._order = threading.Lock()
        self._sender = threading.local()
        super().__init__(connection)

    @contextlib.contextmanager
    def on_behalf_of(self, channel: paramiko.Channel) -> Iterator[None]:
        """While the body runs, what this thread sends belongs to ``channel``."""
        self._sender.channel = channel
        try:
            yield
        finally:
            self._sender.channel = None

    def _send_user_message(self, data: Any) -> None:
        with self._order:
            channel = getattr(self._sender, "channel", None)
            if channel is None or not channel.closed:
                super()._send_user_message(data)  # type: ignore[misc]


def receive(channel: paramiko.Channel, count: int) -> bytes:
    """At most ``count`` bytes of output; empty at its end."""
    with _turn(channel):
        return channel.recv(count)


def receive_errors(channel: paramiko.Channel, count: int) -> bytes:
    """At most ``count`` bytes of error output; empty at its end."""
    with _turn(channel):
        return channel.recv_stderr(count)


def send(channel: paramiko.Channel, data: bytes) -> None:
    """All of ``data``. Raises OSError when the channel closes before."""
    with _turn(channel):
        channel.sendall(data)


def end_input(channel: paramiko.Channel) -> None:
    """Tell the other side that no more bytes come. Safe to repeat, and on a closed channel."""
    with _turn(channel), contextlib.suppress(OSError):
        if not channel.closed:
            channel.shutdown_write()


def resize(channel: paramiko.Channel, columns: int, rows: int) -> None:
    """Tell the pseudo-terminal its size. Quietly nothing on a closed channel."""
    with _turn(channel), contextlib.suppress(OSError, paramiko.SSHException):
        if not channel.closed:
            channel.resize_pty(columns, rows)


@contextlib.contextmanager
def _turn(channel: paramiko.Channel) -> Iterator[None]:
    transport = channel.get_transport()
    if isinstance(transport, OrderedTransport):
        with transport.on_behalf_of(channel):
            yield
    else:
        yield
