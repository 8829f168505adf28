"""Model requests through the gateway beside the same ones straight to the provider: in turns, in the same run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from app.bench.figures import Measure, Target, median, p95
from app.bench.provider import EVENT_BYTES
from app.domain.errors import ActionRefused, EngineError
from app.domain.ports import ActionResult, Progress
from app.gateway.door import DoorSpec, ModelUsage, Provider
from app.gateway.server import Gateway

_WARM_UP = 5
_KEY = "bench-key"
FIRST_BYTE_LIMIT_MS = 3.0
"""How much later the first byte may come through the gateway, in the middle of all requests."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``rounds`` of a short answer each way; every tenth round a long one of ``events`` events."""

    rounds: int = 200
    events: int = 10_000


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """What was found. Rates are MiB a second of one answer."""

    machine: Mapping[str, object]
    rounds: int
    first_byte: Measure
    rates: Measure
    requests: int
    """How many of them the gateway metered, all with the provider's count of tokens."""

    @property
    def added_ms(self) -> float:
        """What the gateway adds to the first byte: the difference of the medians."""
        return median(self.first_byte.ours) - median(self.first_byte.floor)

    @property
    def targets(self) -> list[Target]:
        """The limit with what was found."""
        return [Target("added_to_first_byte_ms", FIRST_BYTE_LIMIT_MS, self.added_ms)]

    def as_json(self) -> dict[str, object]:
        """All figures, for programs."""
        return {
            "machine": dict(self.machine),
            "rounds": self.rounds,
            "first_byte_ms": {"ours": self.first_byte.ours, "direct": self.first_byte.floor},
            "mib_per_second": {"ours": self.rates.ours, "direct": self.rates.floor},
            "first_byte_p95_ms": {"ours": p95(self.first_byte.ours), "direct": p95(self.first_byte.floor)},
            "added_to_first_byte_ms": self.added_ms,
            "targets": {target.name: target.ok for target in self.targets},
        }


async def run_gateway_bench(plan: Plan, home: Path, progress: Progress) -> GatewayReport:
    """Measure; needs no virtual machine. Raises SkerryError when something does not work."""
    load = round(os.getloadavg()[0], 2)
    machine = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(), "load_before": load}
    first, rates = Measure("first byte of an answer", "ms"), Measure("one long answer", "MiB/s")
    metered: list[ModelUsage] = []
    key = home / "key"
    key.write_text(_KEY)
    key.chmod(0o600)
    async with _provider() as port, _door(home, port, key, metered) as through, _direct(port) as direct:
        for number in range(-_WARM_UP, plan.rounds):
            took = [await _first_byte(client) for client in (direct, through)]
            if number < 0:
                continue
            first.floor.append(took[0])
            first.ours.append(took[1])
            if number % 10 == 0:
                rates.floor.append(await _rate(direct, plan.events))
                rates.ours.append(await _rate(through, plan.events))
                progress(f"round {number} of {plan.rounds}: {took[0]:.2f} ms direct, {took[1]:.2f} ms through the door")
    if any(use.status != 200 or use.output_tokens == 0 for use in metered):
        raise EngineError("the gateway did not count what went through it", operation="bench")
    return GatewayReport(machine, plan.rounds, first, rates, len(metered))


async def _first_byte(client: httpx.AsyncClient) -> float:
    """Milliseconds until the first byte of a short answer is here."""
    began, took = time.perf_counter(), 0.0
    async with client.stream("POST", "responses", json=_asked(3)) as answer:
        async for _ in answer.aiter_raw():
            took = took or (time.perf_counter() - began) * 1000
    return took


async def _rate(client: httpx.AsyncClient, events: int) -> float:
    began, size = time.perf_counter(), 0
    async with client.stream("POST", "responses", json=_asked(events)) as answer:
        async for chunk in answer.aiter_raw():
            size += len(chunk)
    if size < events * EVENT_BYTES // 2:
        raise EngineError(f"only {size} bytes of a long answer came", operation="bench")
    return size / 2**20 / (time.perf_counter() - began)


def _asked(events: int) -> dict[str, object]:
    return {"model": "bench", "input": "Go.", "stream": True, "max_output_tokens": events}


@contextlib.asynccontextmanager
async def _provider() -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.bench.provider", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def _door(home: Path, port: int, key: Path, metered: list[ModelUsage]) -> AsyncIterator[httpx.AsyncClient]:
    """A client in the place of an agent: behind its door."""
    gateway = Gateway(_no_tools, metered.append)
    socket = home / "door"
    upstream = Provider("bench", "openai", f"http://127.0.0.1:{port}/v1", f"file:{key}")
    await gateway.open_door(DoorSpec("bench/agent", "bench", "r1", "agent", socket, upstream))
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://door/openai/v1/", timeout=60) as client:
            yield client
    finally:
        await gateway.stop()


@contextlib.asynccontextmanager
async def _direct(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1/", timeout=60) as client:
        yield client


async def _no_tools(key: str, name: str, arguments: Mapping[str, object], call_id: str) -> ActionResult:
    raise ActionRefused("nobody calls tools here", operation=name)
