"""The benchmark of the gateway, as small as can be: a real provider process, a real door."""

from __future__ import annotations

from app.bench.gateway import Plan, run_gateway_bench
from app.bench.session import temporary_home


async def test_a_small_benchmark_measures_both_ways() -> None:
    with temporary_home() as home:
        report = await run_gateway_bench(Plan(11, events=500), home, lambda words: None)
    assert not home.exists()
    assert len(report.first_byte.ours) == len(report.first_byte.floor) == 11
    assert len(report.rates.ours) == len(report.rates.floor) == 2
    assert all(value > 0 for value in (*report.first_byte.ours, *report.first_byte.floor, *report.rates.ours))
    assert report.requests == 5 + 11 + 2, "each request is metered, the direct ones are not"
    (target,) = report.targets
    assert target.value == report.added_ms and report.as_json()["added_to_first_byte_ms"] == report.added_ms
