"""Carries a connection a machine makes to its one forwarded port to the door's unix socket on this host."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import paramiko

from app.sandbox.ssh_io import end_input, receive, send

_PIECE = 65536


def forward_to(door: Path, channel: paramiko.Channel) -> None:
    """Bridge in two threads of their own; returns at once. Without a listener the guest's connection is closed."""
    threading.Thread(target=_bridge, args=(door, channel), name="door", daemon=True).start()


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
