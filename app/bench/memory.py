"""The search index beside ripgrep, on the same memory files, asked in turns in the same run."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from app.bench.figures import Measure, Target, median, p95
from app.bench.memory_corpus import FLEET, Corpus, Search
from app.domain.ports import Progress
from app.domain.search import Query, parse_terms
from app.store.search_index import RACY_NS, SearchIndex

QUERY_LIMIT_MS = 50.0
_HITS = 20
_SEED = 7


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is searched. ``rounds``: searches of each sort, and notes that are added."""

    lines: int = 1_000_000
    agents: int = 50
    rounds: int = 15


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What was found. ``update``: from a changed file to the index that has it; ``still``: when nothing changed."""

    machine: Mapping[str, object]
    lines: int
    agents: int
    text_bytes: int
    index_bytes: int
    build_seconds: float
    ripgrep: str
    """Its version; empty where there is none."""
    update: Measure
    still: Measure
    queries: Mapping[str, Measure] = field(default_factory=dict)

    @property
    def all_queries(self) -> Measure:
        """The samples of every sort together."""
        whole = Measure("all searches", "ms")
        for measure in self.queries.values():
            whole.ours += measure.ours
            whole.floor += measure.floor
        return whole

    @property
    def targets(self) -> list[Target]:
        """Each limit with what was found."""
        whole = self.all_queries
        pairs = {"query_p50_to_ripgrep": median, "query_p95_to_ripgrep": p95}
        ratios = {
            name: of(whole.ours) / of(whole.floor) if whole.ours and whole.floor else None for name, of in pairs.items()
        }
        return [
            Target("query_p95_ms", QUERY_LIMIT_MS, p95(whole.ours)),
            *(Target(name, 1.0, ratio) for name, ratio in ratios.items()),
        ]

    def as_json(self) -> dict[str, object]:
        """For programs; times are milliseconds unless named."""
        named = {"all": self.all_queries, **self.queries, "update": self.update, "still": self.still}
        return {
            "machine": dict(self.machine),
            "lines": self.lines,
            "agents": self.agents,
            "text_bytes": self.text_bytes,
            "index_bytes": self.index_bytes,
            "build_seconds": round(self.build_seconds, 2),
            "ripgrep": self.ripgrep or None,
            "ms": {name: {"ours": _both(found.ours), "ripgrep": _both(found.floor)} for name, found in named.items()},
            "targets": {
                t.name: {"limit": t.limit, "value": t.value and round(t.value, 3), "ok": t.ok} for t in self.targets
            },
        }


def run_memory_bench(plan: Plan, home: Path, progress: Progress) -> MemoryReport:
    """Measure in a home of its own. Raises JournalError when the index cannot be made, for want of room for one."""
    load = round(os.getloadavg()[0], 2)
    machine = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(), "load_before": load}
    progress(f"writes {plan.lines} lines for {plan.agents} agents")
    corpus = Corpus(home, lines=plan.lines, agents=plan.agents, seed=_SEED)
    corpus.write()
    time.sleep(RACY_NS / 1e9)  # a file that has just been written is read twice
    file = home / "search.db"
    index = SearchIndex(file)
    try:
        progress("makes the index")
        began = time.perf_counter()
        index.refresh(corpus.sources)
        seconds = time.perf_counter() - began
        progress("searches")
        queries = _queries(index, corpus, plan.rounds)
        progress("adds notes")
        update, still = _updates(index, corpus, plan.rounds)
    finally:
        index.close()
    sizes = corpus.bytes, sum(part.stat().st_size for part in home.glob("search.db*"))
    return MemoryReport(machine, corpus.lines, plan.agents, *sizes, seconds, _version(), update, still, queries)


def _queries(index: SearchIndex, corpus: Corpus, rounds: int) -> dict[str, Measure]:
    program = shutil.which("rg")
    found: dict[str, Measure] = {}
    for search in corpus.searches(1):  # neither side's files were read before
        _both_sides(index, corpus, search, program, Measure(search.title))
    for search in corpus.searches(rounds):
        _both_sides(index, corpus, search, program, found.setdefault(search.title, Measure(search.title, "ms")))
    return found


def _both_sides(index: SearchIndex, corpus: Corpus, search: Search, program: str | None, measure: Measure) -> None:
    measure.ours.append(_timed(partial(index.search, _query(search), corpus.sources)))
    if program is not None:
        measure.floor.append(_timed(partial(_grep, program, search, corpus)))


def _query(search: Search) -> Query:
    agents = frozenset({(FLEET, search.agent)}) if search.agent else frozenset[tuple[str, str]]()
    return Query(parse_terms(search.text), agents=agents, limit=_HITS, substring=search.substring)


def _grep(program: str, search: Search, corpus: Corpus) -> int:
    """Like a person would ask: lines with their numbers, whatever their case; no more of a file than we show in all."""
    place = next((source.path for source in corpus.sources if source.agent == search.agent), corpus.folder / "agents")
    options = ("--no-config", "--line-number", "--ignore-case", "--max-count", str(_HITS))
    # Into a pipe: ripgrep stops at the first match when its output is thrown away.
    done = subprocess.run([program, *options, *search.ripgrep, str(place)], capture_output=True, check=False)
    return len(done.stdout)


def _updates(index: SearchIndex, corpus: Corpus, rounds: int) -> tuple[Measure, Measure]:
    update, still = Measure("a note is added", "ms"), Measure("nothing changed", "ms")
    for number in range(rounds):
        source = corpus.sources[number % len(corpus.sources)]
        with source.path.open("a") as file:
            file.write(corpus.note() + "\n")
        update.ours.append(_timed(partial(index.refresh, corpus.sources)))
    time.sleep(RACY_NS / 1e9)
    index.refresh(corpus.sources)
    for _ in range(rounds):
        still.ours.append(_timed(partial(index.refresh, corpus.sources)))
    return update, still


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _version() -> str:
    program = shutil.which("rg")
    if program is None:
        return ""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.split("\n", 1)[0].removeprefix("ripgrep").strip()


def _both(samples: Sequence[float]) -> dict[str, float] | None:
    if not samples:
        return None
    found = {"p50": median(samples), "p95": p95(list(samples)), "min": min(samples), "max": max(samples)}
    return {name: round(value, 2) for name, value in found.items()}
