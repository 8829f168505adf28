"""The benchmark of searching, as small as can be: real files, a real index, ripgrep where there is one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.bench.memory import MemoryReport, Plan, run_memory_bench
from app.bench.memory_corpus import Corpus
from app.domain.search import Query, parse_terms
from app.store.search_index import SearchIndex


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> MemoryReport:
    told: list[str] = []
    home = tmp_path_factory.mktemp("bench")
    made = run_memory_bench(Plan(lines=2_000, agents=4, rounds=2), home, told.append)
    assert len(told) == 4
    return made


def test_everything_is_measured(report: MemoryReport) -> None:
    assert report.lines >= 2_000
    assert report.text_bytes > 50_000
    assert report.index_bytes > report.text_bytes
    assert report.build_seconds > 0
    assert len(report.queries) == 8
    assert {len(measure.ours) for measure in report.queries.values()} == {2}
    assert len(report.update.ours) == len(report.still.ours) == 2
    assert report.targets[0].name == "query_p95_ms"
    json.dumps(report.as_json())


@pytest.mark.skipif(shutil.which("rg") is None, reason="there is no ripgrep")
def test_ripgrep_is_asked_the_same(report: MemoryReport) -> None:
    assert report.ripgrep
    assert {len(measure.floor) for measure in report.queries.values()} == {2}
    assert all(target.value for target in report.targets)


def test_what_is_searched_for_is_there(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, lines=5_000, agents=3, seed=7)
    corpus.write()
    index = SearchIndex(tmp_path / "search.db")
    found = {
        search.title: bool(
            index.search(Query(parse_terms(search.text), substring=search.substring), corpus.sources).hits
        )
        for search in corpus.searches(1)
    }
    index.close()
    assert not found.pop("what is nowhere")
    found.pop("a rare word")  # too rare for so few lines
    assert all(found.values()), found


def test_the_same_seed_is_the_same_text(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        corpus = Corpus(tmp_path / name, lines=1_000, agents=2, seed=7)
        corpus.write()
        texts.append([source.path.read_text() for source in corpus.sources])
    assert texts[0] == texts[1]
