"""Model servers on this host: found when they answer as such, on loopback, and never waited for long."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.runtimes.local_models import PLACES, LocalServer, Place, find_local_models


@contextmanager
def serving(answers: dict[str, bytes]) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"no")

        def log_message(self, *ignored: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def models(*names: object) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode()


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"])
def test_a_server_is_found(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with serving(
        {"/v1/models": models("qwen3-coder", 7, "a\x1b[2Jb"), "/api/version": b'{"version": "0.13.3"}'}
    ) as url:
        (found,) = find_local_models([Place("Ollama", url, ("/api/version", "version"))])
    assert found == LocalServer("Ollama", f"{url}/v1", "0.13.3", ("qwen3-coder",))
    assert found.provider == f'local: {{api: openai-chat, base_url: "{url}/v1"}}'


@pytest.mark.parametrize("answer", [None, b"<html>", b"[]", b'{"data": 1}', b'{"data": ' + b"[" * 100_000])
def test_another_server_is_none(answer: bytes | None) -> None:
    with serving({} if answer is None else {"/v1/models": answer}) as url:
        assert find_local_models([Place("llama.cpp", url, ("/props", "build_info"))]) == []


def test_nobody_is_there() -> None:
    assert find_local_models([Place("Ollama", "http://127.0.0.1:1", ("/", "x"))]) == []
    assert all(place.url.startswith("http://127.0.0.1:") for place in PLACES), "on this host alone"
