"""What every test gets: a Skerry of its own, no keys, no screen."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import settings
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from app.config import Paths
from app.engine.search_attributes import register_search_attributes
from app.engine.temporal_server import TemporalServer, temporal_binary
from app.sandbox.reaper import reaping
from tests.patience import bounded

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

# Images are large and never changed by a test: those of the user are used. Everything else is private to each test.
os.environ["SKERRY_IMAGES"] = str(Paths.from_environment().images)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# libvirt's event loop and Qt's would both run GLib's default context, from two threads, and crash. Only here do the two
# share a process: the window and the engine are two.
os.environ["QT_NO_GLIB"] = "1"

WriteProject = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the tests that use the Temporal server together, at the end: it runs only while it is needed."""
    items.sort(key=lambda item: "temporal_address" in getattr(item, "fixturenames", ()))
    for item in items:
        bounded(item)
        if os.environ.get("SKERRY_TEST_CLAUDE") == "0" and item.get_closest_marker("claude"):
            item.add_marker(pytest.mark.skip(reason="SKERRY_TEST_CLAUDE=0"))


@pytest.fixture(autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Nothing of the user is read or written, and no key leaves this machine."""
    home = tmp_path_factory.getbasetemp() / f"home-{os.urandom(4).hex()}"
    monkeypatch.setenv("SKERRY_HOME", str(home))
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SKERRY_CHECKOUT"):
        monkeypatch.delenv(variable, raising=False)
    yield home
    runtime = Paths.from_environment({**os.environ, "SKERRY_HOME": str(home)}).runtime
    shutil.rmtree(runtime, ignore_errors=True)  # outside of the home when that has too long a path for sockets


@pytest.fixture(scope="session", autouse=True)
def orphans_are_collected() -> Iterator[None]:
    """Tests of machines make this process the one that orphans come to, those of engines that are killed too."""
    with reaping():
        yield


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


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    """One Temporal server for all tests, started as the engine starts it; in memory where it can be, for speed."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="skerry-test-", dir=memory) as folder:
        database, log = Path(folder, "server.db"), Path(folder, "server.log")
        server = TemporalServer(binary=temporal_binary(), database=database, log_file=log)
        # A loop of its own that runs only for the start and the stop: the tests' loops come and go between them.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(server.start())
            yield server.address
            runner.run(server.stop())


async def new_namespace(temporal_address: str) -> Client:
    """A client of a Temporal namespace that nobody else uses."""
    operator = await Client.connect(temporal_address)
    namespace = f"test-{os.urandom(4).hex()}"
    request = RegisterNamespaceRequest(
        namespace=namespace, workflow_execution_retention_period=Duration(seconds=24 * 3600)
    )
    await operator.workflow_service.register_namespace(request)
    client = await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)
    await register_search_attributes(client)
    return client


@pytest.fixture
async def temporal(temporal_address: str) -> Client:
    """A client of a Temporal namespace that is this test's alone: no worker of another test takes its work."""
    return await new_namespace(temporal_address)


@pytest.fixture
async def other_temporal(temporal_address: str) -> Client:
    """Another one: as if Temporal's database had been deleted."""
    return await new_namespace(temporal_address)


@pytest.fixture
async def shared_temporal(temporal_address: str) -> Client:
    """A client of the namespace that everybody who asks for an engine is led to."""
    return await Client.connect(temporal_address, data_converter=pydantic_data_converter)
