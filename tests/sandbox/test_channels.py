"""Framing on the two channels, over real sockets."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.domain.errors import SandboxError, SandboxLost
from app.sandbox.channel import MAGIC, await_marker
from app.sandbox.control_port import ControlPort
from app.sandbox.keys import load_or_make_keys
from app.sandbox.strays import end_stray, note_process

MARKER = MAGIC + bytes(range(16))
Guest = Callable[[socket.socket], None]


@pytest.mark.parametrize(
    "before", [b"", b"old bytes", MAGIC, MAGIC + b"another nonce!!!", MARKER[:30], MAGIC[:10] + MAGIC[:20]]
)
def test_old_bytes_are_dropped_and_not_one_new_byte(before: bytes) -> None:
    stream = io.BytesIO(before + MARKER + b"SSH-2.0-dropbear")
    await_marker(stream.read, MARKER)
    assert stream.read() == b"SSH-2.0-dropbear"


def test_a_stream_that_ends_is_an_error() -> None:
    with pytest.raises(OSError, match="closed"):
        await_marker(io.BytesIO(b"x" * 1000).read, MARKER)


@pytest.fixture
def serve(short_folder: Path) -> Iterator[Callable[[Guest], ControlPort]]:
    """A control port whose other end is played by a function."""
    path = short_folder / "ctl"
    opened: list[socket.socket] = []
    ports: list[ControlPort] = []

    def start(guest: Guest) -> ControlPort:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        opened.append(listener)

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                guest(connection)

        threading.Thread(target=accept, daemon=True).start()
        ports.append(ControlPort(path))
        return ports[-1]

    yield start
    for port in ports:
        port.close()
    for listener in opened:
        listener.close()
    path.unlink(missing_ok=True)


def request_of(connection: socket.socket) -> dict[str, object]:
    with connection.makefile("rb") as lines:
        assert lines.readline() == b"\n"
        found = json.loads(lines.readline())
    assert isinstance(found, dict)
    return found


def test_the_answer_with_the_right_id_counts(serve: Callable[[Guest], ControlPort]) -> None:
    def guest(connection: socket.socket) -> None:
        request = request_of(connection)
        for line in (b"noise", b"[]", b'{"id": 7}', b'{"id": "other", "ok": true}', b"\xff\xfe", b"[" * 5000):
            connection.sendall(line + b"\n")
        connection.sendall(json.dumps({"id": request["id"], "ok": True, "echo": request["word"]}).encode() + b"\n")
        connection.recv(1)

    assert serve(guest).request("ping", 5, word="hello")["echo"] == "hello"


def test_a_refusal_is_an_error(serve: Callable[[Guest], ControlPort]) -> None:
    def guest(connection: socket.socket) -> None:
        ident = request_of(connection)["id"]
        connection.sendall(json.dumps({"id": ident, "ok": False, "error": "no such job"}).encode() + b"\n")
        connection.recv(1)

    with pytest.raises(SandboxError, match="no such job"):
        serve(guest).request("kill", 5)


def test_a_machine_that_goes_away_is_lost(serve: Callable[[Guest], ControlPort]) -> None:
    def guest(connection: socket.socket) -> None:
        request_of(connection)

    with pytest.raises(SandboxLost):
        serve(guest).request("ping", 5)


def test_silence_is_an_error_in_time(serve: Callable[[Guest], ControlPort]) -> None:
    def guest(connection: socket.socket) -> None:
        while connection.recv(10_000):
            pass

    with pytest.raises(SandboxError, match="did not answer"):
        serve(guest).request("ping", 0.2)


def test_no_machine_at_all_is_lost(tmp_path: Path) -> None:
    with pytest.raises(SandboxLost):
        ControlPort(tmp_path / "none").request("ping", 1)


def test_keys_are_made_once_and_kept_to_us(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    first, second = load_or_make_keys(here), load_or_make_keys(here)
    assert first.pinned == second.pinned and first.authorized_key == second.authorized_key
    assert load_or_make_keys(there).pinned != first.pinned
    assert {(path.name, path.stat().st_mode & 0o777) for path in here.iterdir()} == {
        ("host_key", 0o600),
        ("client_key", 0o600),
    }


def test_a_stray_process_is_ended_and_another_of_its_number_is_not(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        note_process(tmp_path, process.pid)
        noted = (tmp_path / "qemu.pid").read_text()
        (tmp_path / "qemu.pid").write_text(f"{process.pid} 1\n")
        assert not end_stray(tmp_path) and process.poll() is None
        (tmp_path / "qemu.pid").write_text(noted)
        assert end_stray(tmp_path)
    assert not end_stray(tmp_path)


def test_a_line_without_end_takes_no_memory_and_the_next_answer_counts(serve: Callable[[Guest], ControlPort]) -> None:
    def guest(connection: socket.socket) -> None:
        ident = request_of(connection)["id"]
        for _ in range(48):
            connection.sendall(b"x" * 65536)
        connection.sendall(b"\n" + json.dumps({"id": ident, "ok": True}).encode() + b"\n")
        connection.recv(1)

    assert serve(guest).request("ping", 10)["ok"] is True


def test_a_machine_that_floods_is_slowed_down(serve: Callable[[Guest], ControlPort]) -> None:
    sent = [0]

    def guest(connection: socket.socket) -> None:
        connection.settimeout(1)
        with contextlib.suppress(OSError):
            while True:
                sent[0] += connection.send(b'{"event": "noise"}\n' * 1000)

    port = serve(guest)
    with pytest.raises(SandboxError):
        port.request("ping", 2)
    assert sent[0] < 12 * 2**20, "its words wait on its own side"


def test_a_refusal_of_many_words_is_cut(serve: Callable[[Guest], ControlPort]) -> None:
    def guest(connection: socket.socket) -> None:
        ident = request_of(connection)["id"]
        connection.sendall(json.dumps({"id": ident, "ok": False, "error": ["x" * 100_000]}).encode() + b"\n")
        connection.recv(1)

    with pytest.raises(SandboxError) as refused:
        serve(guest).request("kill", 5)
    assert len(refused.value.message) < 700
