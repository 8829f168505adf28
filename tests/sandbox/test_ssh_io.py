"""Late messages on closed channels, between a real paramiko client and a real paramiko server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import paramiko
import pytest

from app.sandbox.ssh_io import OrderedTransport, end_input, send


class Server(paramiko.ServerInterface):
    def check_auth_none(self, username: str) -> int:
        return 0  # let in

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return 0  # opened


@pytest.fixture
def pair() -> Iterator[tuple[OrderedTransport, paramiko.Transport]]:
    ours, theirs = socket.socketpair()
    server = paramiko.Transport(theirs)
    server.add_server_key(paramiko.RSAKey.generate(2048))
    server.start_server(event=threading.Event(), server=Server())
    client = OrderedTransport(ours)
    client.start_client(timeout=10)
    client.auth_none("host")
    yield client, server
    client.close()
    server.close()


def test_bytes_go_through(pair: tuple[OrderedTransport, paramiko.Transport]) -> None:
    client, server = pair
    channel = client.open_session(timeout=10)
    other = server.accept(10)
    assert other is not None
    send(channel, b"hello")
    end_input(channel)
    assert other.makefile("rb").read() == b"hello"
    channel.close()


def test_what_a_thread_decided_before_the_close_is_not_sent_after_it(
    pair: tuple[OrderedTransport, paramiko.Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = pair
    channel = client.open_session(timeout=10)
    sent: list[bytes] = []
    really = client.packetizer.send_message

    def send_message(message: paramiko.Message) -> None:
        sent.append(message.asbytes()[:1])
        really(message)

    monkeypatch.setattr(client.packetizer, "send_message", send_message)
    with client.on_behalf_of(channel):
        late = channel._send_eof()  # type: ignore[attr-defined]  # decided: it is still open
        closing = threading.Thread(target=channel.close)
        closing.start()
        closing.join()
        client._send_user_message(late)
    assert sent == [paramiko.common.cMSG_CHANNEL_CLOSE]


def test_the_end_may_be_told_again_and_too_late(pair: tuple[OrderedTransport, paramiko.Transport]) -> None:
    channel = pair[0].open_session(timeout=10)
    end_input(channel)
    end_input(channel)
    channel.close()
    end_input(channel)
    with pytest.raises(OSError, match="closed"):
        send(channel, b"x")
