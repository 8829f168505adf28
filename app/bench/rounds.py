"""The rounds of ``skerry bench sandbox``: what is measured, both sides by turns so that noise hits both."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.bench.contest import Guest, Side
from app.bench.figures import Measure, SideName
from app.bench.floor import Floor, RawGuest
from app.bench.ours import Ours
from app.bench.processes import pss_mib
from app.domain.ports import Progress

_FILES = 4
_IDLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; ``trips`` commands and one copy of ``bulk_mib`` a bulk round."""

    rounds: int
    crowd_rounds: int
    crowds: Sequence[int] = (3, 6, 12)
    trips: int = 30
    bulk_rounds: int = 1
    bulk_mib: int = 100


def empty_measures(plan: Plan) -> dict[str, Measure]:
    """What will be measured, in the order of the table."""
    crowds: dict[str, Measure] = {}
    for count in plan.crowds:
        crowds[f"at_once_{count}"] = Measure(f"{count} warm clones at once, until the last one's first command")
        crowds[f"at_once_{count}_median"] = Measure(f"{count} warm clones at once, the median one")
    return {
        "cold": Measure("cold boot to first command"),
        "warm": Measure("warm clone to first command"),
        **crowds,
        "roundtrip": Measure("command round trip", "ms"),
        "copy_in": Measure(f"copy {plan.bulk_mib} MiB in"),
        "copy_out": Measure(f"copy {plan.bulk_mib} MiB out"),
        "disk_in": Measure(f"second disk, guest reads {plan.bulk_mib} MiB"),
        "disk_out": Measure(f"second disk, guest writes {plan.bulk_mib} MiB"),
        "pss": Measure(f"memory of each of {max(plan.crowds)} idle machines (PSS)", "MiB"),
    }


class Rounds:
    """Runs a plan; ``scratch`` is for the files that are copied."""

    def __init__(self, plan: Plan, ours: Ours, floor: Floor, scratch: Path, progress: Progress) -> None:
        self._plan, self._scratch, self._progress = plan, scratch, progress
        self._ours, self._floor = ours, floor
        self._sides: dict[SideName, Side] = {"ours": ours, "floor": floor}
        self._names = (f"bench-{number}" for number in itertools.count(1))
        self.measures = empty_measures(plan)

    async def run(self) -> None:
        """All of it."""
        await self._rehearse()
        for number in range(self._plan.rounds):
            for side in _by_turns(number):
                await self._one("cold", side, f"round {number + 1} of {self._plan.rounds}")
            for side in _by_turns(number):
                await self._one("warm", side, f"round {number + 1} of {self._plan.rounds}")
        for number, count in itertools.product(range(self._plan.crowd_rounds), self._plan.crowds):
            for side in _by_turns(number):
                await self._crowd(count, side, f"round {number + 1} of {self._plan.crowd_rounds}")
        await self._connected()

    async def _rehearse(self) -> None:
        """Have the template, all files in the page cache, and the floor know how our machines are started."""
        self._progress("one machine each way, unmeasured; the first time makes the template")
        for cold in (False, True):
            guest = await self._ours.boot(next(self._names), cold=cold)
            await guest.run()
            self._floor.learn(guest.machine, cold=cold)
            await guest.end()

    async def _one(self, measure: str, side: SideName, words: str) -> None:
        seconds, guest = await self._first_command(side, cold=measure == "cold")
        self._note(measure, side, seconds, words)
        await guest.end()

    async def _first_command(self, side: SideName, *, cold: bool = False) -> tuple[float, Guest]:
        begun = time.monotonic()
        guest = await self._sides[side].boot(next(self._names), cold=cold)
        await guest.run()
        return time.monotonic() - begun, guest

    async def _crowd(self, count: int, side: SideName, words: str) -> None:
        found = await asyncio.gather(*(self._first_command(side) for _ in range(count)))
        seconds = sorted(taken for taken, _ in found)
        self._note(f"at_once_{count}", side, seconds[-1], words)
        self.measures[f"at_once_{count}_median"].of(side).append((seconds[(count - 1) // 2] + seconds[count // 2]) / 2)
        if count == max(self._plan.crowds):
            await asyncio.sleep(_IDLE_SECONDS)
            self.measures["pss"].of(side).extend(pss_mib(guest.pid()) for _, guest in found)
        for _, guest in found:
            await guest.end()

    async def _connected(self) -> None:
        """What happens over a connection that is kept open."""
        guests: dict[SideName, Guest] = {}
        for side in _by_turns(0):
            _, guests[side] = await self._first_command(side)
        self._progress(f"{self._plan.trips} commands on each side")
        for number in range(self._plan.trips):
            for side in _by_turns(number):
                self.measures["roundtrip"].of(side).append(1000 * await _seconds(guests[side].run()))
        for number in range(self._plan.bulk_rounds):
            await self._copies(guests, number)
        for guest in guests.values():
            await guest.end()

    async def _copies(self, guests: dict[SideName, Guest], number: int) -> None:
        source = _fill(self._scratch / f"in-{number}", self._plan.bulk_mib)
        words = f"round {number + 1} of {self._plan.bulk_rounds}"
        for side in _by_turns(number):
            target = self._scratch / f"out-{number}-{side}"
            target.mkdir()
            self._note("copy_in", side, await _seconds(guests[side].copy_in(source)), words)
            self._note("copy_out", side, await _seconds(guests[side].copy_out(target)), words)
            _check_equal(source, target)
            await guests[side].clear()
        raw = guests["floor"]
        if isinstance(raw, RawGuest):
            self._note("disk_out", "floor", await _seconds(raw.write_disk(self._plan.bulk_mib)), words)
            self._note("disk_in", "floor", await _seconds(raw.read_disk(self._plan.bulk_mib)), words)

    def _note(self, measure: str, side: SideName, value: float, words: str) -> None:
        found = self.measures[measure]
        found.of(side).append(value)
        self._progress(f"{words}: {found.title}, {side}: {value:.2f} {found.unit}")


def _by_turns(number: int) -> Iterator[SideName]:
    """Who is first changes: what the first one warms up or wears out is not always for the same."""
    return iter(("ours", "floor") if number % 2 == 0 else ("floor", "ours"))


async def _seconds(work: Awaitable[object]) -> float:
    begun = time.monotonic()
    await work
    return time.monotonic() - begun


def _fill(folder: Path, mebibytes: int) -> Path:
    (folder / folder.name).mkdir(parents=True)
    for number in range(_FILES):
        (folder / folder.name / f"{number}.bin").write_bytes(os.urandom(mebibytes * 2**20 // _FILES))
    return folder


def _check_equal(source: Path, target: Path) -> None:
    for path in source.rglob("*.bin"):
        copied = target / path.relative_to(source)
        if copied.stat().st_size != path.stat().st_size:
            raise AssertionError(f"{copied} is not {path}")
