"""A gateway of each test, and clients that come in through its doors."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from app.domain.ports import ActionResult
from app.gateway.door import DoorSpec, ModelUsage, Provider, Rehearsal
from app.gateway.server import Gateway
from tests.gateway.harness import Json

SMALL = """
title: Small
think_seconds: 0
agents:
  alice:
    steps:
      - id: look
        thought: First look.
        say: I look around.
        run: ls
      - id: rest
        say: That was all.
  bob:
    steps:
      - {id: hello, say: I am bob.}
"""

MakeDoor = Callable[..., DoorSpec]
Client = Callable[[DoorSpec], httpx2.AsyncClient]


class Calls:
    """Remembers tool calls; answers each."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, Json, str]] = []
        self.error: Exception | None = None
        self.result = ActionResult("done")

    async def __call__(self, key: str, name: str, arguments: object, call_id: str) -> ActionResult:
        assert isinstance(arguments, dict)
        self.made.append((key, name, arguments, call_id))
        if self.error is not None:
            raise self.error
        return self.result


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def metered() -> list[ModelUsage]:
    return []


@pytest.fixture
async def gateway(calls: Calls, metered: list[ModelUsage]) -> AsyncIterator[Gateway]:
    gateway = Gateway(calls, metered.append)
    yield gateway
    await gateway.stop()


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder with a short path, as unix sockets need."""
    with tempfile.TemporaryDirectory(prefix="d-") as folder:
        yield Path(folder) / "d"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file


@pytest.fixture
def door(sockets: Path, scenario: Path) -> MakeDoor:
    def make(agent: str = "alice", upstream: Rehearsal | Provider | None = None, run: str = "r1") -> DoorSpec:
        socket = sockets / f"{agent}.s"
        return DoorSpec(f"f/{agent}", "f", run, agent, socket, upstream or Rehearsal(scenario))

    return make


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made: list[httpx2.AsyncClient] = []

    def make(spec: DoorSpec) -> httpx2.AsyncClient:
        transport = httpx2.AsyncHTTPTransport(uds=str(spec.socket))
        made.append(httpx2.AsyncClient(transport=transport, base_url="http://gateway", timeout=10))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()
