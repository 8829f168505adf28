"""The benchmark of messages, as small as can be: real server, real workflows, real tool calls."""

from __future__ import annotations

from app.bench.figures import p95
from app.bench.messages import Plan, run_message_bench
from app.bench.session import temporary_home


async def test_a_small_benchmark_measures_everything_once() -> None:
    told: list[str] = []
    with temporary_home() as home:
        report = await run_message_bench(Plan(3, crowds=(2,), share=3), home, told.append)
    assert not home.exists()
    assert {len(measure.ours) for measure in report.measures.values()} == {3}
    assert len(report.measures["sync"].floor) == 3
    found = report.as_json()
    assert set(report.ratios) == {
        "sync_to_update",
        "sync_to_update_p95",
        "async_to_update",
        "async_to_update_p95",
    }
    assert all(value > 0 for value in report.ratios.values())
    assert report.crowds[2] > 0 and "2" in str(found["messages_per_second"])
    assert [target.name for target in report.targets] == list(report.ratios)
    assert told


def test_the_95th_percentile() -> None:
    assert p95([float(number) for number in range(1, 101)]) == 95.95
    assert p95([7.0]) == 7.0
