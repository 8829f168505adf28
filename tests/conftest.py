"""What every test gets: a Skerry of its own, no keys, no screen."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import settings
from temporalio.client import Client

from app.config import Paths
from app.engine.temporal_server import TemporalServer, temporal_binary

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

# Images are large and never changed by a test: those of the user are used. Everything else is private to each test.
os.environ["SKERRY_IMAGES"] = str(Paths.from_environment().images)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

WriteProject = Callable[..., Path]


@pytest.fixture(autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user is read or written, and no key leaves this machine."""
    home = tmp_path_factory.getbasetemp() / f"home-{os.urandom(4).hex()}"
    monkeypatch.setenv("SKERRY_HOME", str(home))
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SKERRY_CHECKOUT"):
        monkeypatch.delenv(variable, raising=False)
    return home


@pytest.fixture
def paths() -> Paths:
    """Folders of this test, made."""
    paths = Paths.from_environment()
    paths.prepare()
    return paths


@pytest.fixture
def write_project(tmp_path: Path) -> WriteProject:
    """Write the text of an agents.yaml into a folder; gives the folder."""

    def write(text: str | bytes, name: str = "agents.yaml") -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder

    return write


@pytest.fixture
async def temporal(paths: Paths) -> AsyncIterator[Client]:
    """A Temporal server of this test, started as the engine starts it."""
    server = TemporalServer(binary=temporal_binary(), database=paths.temporal_db("test"), log_file=paths.temporal_log)
    client = await server.start()
    yield client
    await server.stop()
