"""Messages beside their floor, a bare Temporal update: asked in turns, on the same server, in the same run."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import WorkflowHandle

from app.bench.echo import EchoWorkflow
from app.bench.figures import Measure, Target, median, p95
from app.bench.message_team import MessageTeam, at_work, echo, temporal
from app.config import Paths
from app.domain.errors import EngineError
from app.domain.ports import ActionResult, Progress

_WARM_UP = 5
_WAIT = 40
_REST_SECONDS = 0.05
"""Before each sample: what the server and the agents still do about the one before must not be in the next."""
_ASK, _NOTE = "ask", "note"
SYNC_LIMIT, ASYNC_LIMIT = 2.5, 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """``rounds`` of one update, one async and one sync message; ``share``: messages of each agent of a crowd."""

    rounds: int = 100
    crowds: tuple[int, ...] = (3, 30)
    share: int = 20


@dataclass(frozen=True, slots=True)
class MessageReport:
    """What was found. ``crowds``: messages a second, accepted and read, by the number of agents."""

    machine: Mapping[str, object]
    rounds: int
    measures: Mapping[str, Measure]
    crowds: dict[int, float] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[str, float]:
        """Of medians and of 95th percentiles, to those of the bare update."""
        floor = self.measures["sync"].floor
        found = {}
        for name in ("sync", "async"):
            ours = self.measures[name].ours
            found[f"{name}_to_update"] = median(ours) / median(floor)
            found[f"{name}_to_update_p95"] = p95(ours) / p95(floor)
        return found

    @property
    def targets(self) -> list[Target]:
        """Each limit with what was found."""
        return [
            Target(name, SYNC_LIMIT if name.startswith("sync") else ASYNC_LIMIT, value)
            for name, value in self.ratios.items()
        ]

    def as_json(self) -> dict[str, object]:
        """For programs; times are milliseconds."""
        samples = {"update": self.measures["sync"].floor} | {n: m.ours for n, m in self.measures.items()}
        targets = {t.name: {"limit": t.limit, "value": t.value and round(t.value, 3), "ok": t.ok} for t in self.targets}
        return {
            "machine": dict(self.machine),
            "rounds": self.rounds,
            "ms": {
                name: {"p50": round(median(found), 2), "p95": round(p95(found), 2)} for name, found in samples.items()
            },
            "ratios": {name: round(value, 3) for name, value in self.ratios.items()},
            "messages_per_second": {str(agents): round(rate, 1) for agents, rate in self.crowds.items()},
            "targets": targets,
        }


async def run_message_bench(plan: Plan, home: Path, progress: Progress) -> MessageReport:
    """Measure in a home of its own. Raises SkerryError when something does not work."""
    load = round(os.getloadavg()[0], 2)
    machine = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(), "load_before": load}
    paths = Paths.from_environment({**os.environ, "SKERRY_HOME": str(home)})
    paths.prepare()
    update: list[float] = []
    measures = {
        "sync": Measure("sync request and reply, between two agents in their turns", "ms", floor=update),
        "async": Measure("async message accepted", "ms", floor=update),
    }
    report = MessageReport(machine, plan.rounds, measures)
    async with temporal(paths) as client:
        async with echo(client) as floor, at_work(paths, client, ["alice", "bob"]) as team:
            await _rounds(plan, team, floor, measures, progress)
        for agents in plan.crowds:
            progress(f"{agents} agents, {plan.share} messages each")
            names = [f"agent-{number}" for number in range(agents)]
            async with at_work(paths, client, names) as team:
                report.crowds[agents] = await _crowd(team, names, plan.share)
    return report


async def _rounds(
    plan: Plan,
    team: MessageTeam,
    floor: WorkflowHandle[EchoWorkflow, None],
    measures: Mapping[str, Measure],
    progress: Progress,
) -> None:
    samples = (measures["sync"].floor, measures["async"].ours, measures["sync"].ours)
    answering = asyncio.create_task(_answer(team))
    try:
        for number in range(-_WARM_UP, plan.rounds):
            note = team.call("alice", "send_message", recipient="bob", body=f"{_NOTE} {number}")
            ask = team.call("alice", "send_message", recipient="bob", body=f"{_ASK} {number}", mode="sync")
            update = floor.execute_update(EchoWorkflow.echo, "x")
            took = [await _timed(update), await _timed(_sent(note)), await _timed(_sent(ask))]
            if number >= 0:
                for kept, sample in zip(samples, took, strict=True):
                    kept.append(sample)
            if number % 25 == 0:
                progress(f"round {max(number, 0)} of {plan.rounds}: " + ", ".join(f"{ms:.1f} ms" for ms in took))
    finally:
        answering.cancel()
        await asyncio.wait([answering])


async def _answer(team: MessageTeam) -> None:
    """Bob, in his turn: reads what comes and answers what is asked."""
    while True:
        read = await team.call("bob", "read_inbox", wait_seconds=_WAIT)
        for block in read.text.split("Message ")[1:]:
            message_id, _, text = block.partition(" ")
            if f"\n\n{_ASK} " in text:
                await team.call("bob", "reply", message_id=message_id, body="Yes.")


async def _crowd(team: MessageTeam, names: list[str], share: int) -> float:
    """Everybody writes to the next one and reads what comes: messages a second until all are read."""
    began = time.perf_counter()
    await asyncio.gather(
        *(_write(team, name, names[(place + 1) % len(names)], share) for place, name in enumerate(names)),
        *(_read(team, name, share) for name in names),
    )
    return len(names) * share / (time.perf_counter() - began)


async def _write(team: MessageTeam, name: str, recipient: str, share: int) -> None:
    for number in range(share):
        await _sent(team.call(name, "send_message", recipient=recipient, body=f"{_NOTE} {number}"))


async def _read(team: MessageTeam, name: str, share: int) -> None:
    seen: set[str] = set()
    while len(seen) < share:
        read = await team.call(name, "read_inbox", wait_seconds=_WAIT)
        seen.update(block.partition(" ")[0] for block in read.text.split("Message ")[1:])


async def _sent(call: Awaitable[ActionResult]) -> ActionResult:
    result = await call
    if not result.ok or result.text.startswith("pending"):
        raise EngineError(f"a message did not get through: {result.text}", operation="bench")
    return result


async def _timed(call: Awaitable[object]) -> float:
    await asyncio.sleep(_REST_SECONDS)
    began = time.perf_counter()
    await call
    return (time.perf_counter() - began) * 1000
