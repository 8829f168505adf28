from __future__ import annotations

import socket
from pathlib import Path

import pytest

from app.domain.errors import EngineError, HostError
from app.engine.temporal_server import Ports, TemporalServer, free_ports, server_version, temporal_binary


def server(folder: Path, **values: object) -> TemporalServer:
    parts: dict[str, object] = {
        "binary": temporal_binary(),
        "database": folder / "temporal.db",
        "log_file": folder / "temporal.log",
    }
    return TemporalServer(**(parts | values))  # type: ignore[arg-type]


@pytest.mark.slow
async def test_a_busy_port_is_avoided(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        temporal = server(tmp_path, ports=Ports(grpc=port, ui=free_ports().ui))
        client = await temporal.start()
        assert temporal.address != f"127.0.0.1:{port}"
        assert await client.service_client.check_health()
        await temporal.stop()
        await temporal.stop()


@pytest.mark.slow
async def test_a_server_that_cannot_start_is_told_with_the_place_to_look(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").write_text("this is no database " * 100)
    temporal = server(tmp_path)
    with pytest.raises(EngineError, match=r"did not start: .*\(see .*temporal\.log\)"):
        await temporal.start()
    await temporal.stop()


def test_a_missing_server_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match=r"not installed \(run \./skerry again"):
        temporal_binary()


async def test_the_version_names_the_database() -> None:
    version = await server_version(temporal_binary())
    assert version.count(".") == 2
