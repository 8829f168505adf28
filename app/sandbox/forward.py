"""Carries a connection a machine makes to its one forwarded port to the door's unix socket on this host."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import paramiko

from app.sandbox.ssh_io import end_input, receive, send

_PIECE = 65536


class Doorway:
    """The way of one machine to its door. A connection takes two threads, so there may be so many at a time."""

    def __init__(self, door: Path, most: int = 64) -> None:
        self._door, self._places = door, threading.BoundedSemaphore(most)

    def forward(self, channel: paramiko.Channel) -> None:
        """Bridge in threads of their own; returns at once.

        Without a listener, or when the machine has too many connections already, this one is closed.
        """
        enter = self._enter if self._places.acquire(blocking=False) else paramiko.Channel.close
        threading.Thread(target=enter, args=(channel,), name="door", daemon=True).start()

    def _enter(self, channel: paramiko.Channel) -> None:
        try:
            _bridge(self._door, channel)
        finally:
            self._places.release()


def _bridge(door: Path, channel: paramiko.Channel) -> None:
    with contextlib.closing(channel), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(door))
        except OSError:
            return
        back = threading.Thread(target=_to_guest, args=(connection, channel), name="door-back", daemon=True)
        back.start()
        _to_door(channel, connection)
        back.join()


def _to_door(channel: paramiko.Channel, connection: socket.socket) -> None:
    """Guest to host until the guest has said all; the other direction may go on."""
    with contextlib.suppress(OSError):
        while data := receive(channel, _PIECE):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR if channel.closed else socket.SHUT_WR)
        return
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _to_guest(connection: socket.socket, channel: paramiko.Channel) -> None:
    """Host to guest; when it ends or the guest is gone, so does the guest's half."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while data := connection.recv(_PIECE):
            send(channel, data)
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        end_input(channel)
