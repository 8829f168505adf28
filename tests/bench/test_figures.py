"""Medians, ratios and targets of a report."""

from __future__ import annotations

import json

import pytest

from app.bench.figures import Measure, Report


def report(*, six: float = 3.0, memory: float = 70.0) -> Report:
    measures = {
        "cold": Measure("cold", "s", [4.0, 5.0, 9.0], [4.0, 4.0]),
        "warm": Measure("warm", "s", [1.0, 2.0, 0.5], [1.0]),
        "at_once_6": Measure("six", "s", [six]),
        "roundtrip": Measure("trip", "ms", [40.0, 42.0], [41.0]),
        "pss": Measure("memory", "MiB", [60.0, memory], [60.0]),
    }
    return Report({"cpu": "a processor"}, 3, measures)


def test_ratios_are_of_medians() -> None:
    assert report().ratios == {
        "warm_to_cold": pytest.approx(0.2),
        "warm_to_raw": 1.0,
        "cold_to_raw": 1.25,
        "six_to_one": 3.0,
        "roundtrip_to_openssh": 1.0,
    }


def test_each_target_says_whether_it_is_met() -> None:
    assert all(target.ok for target in report().targets)
    missed = {target.name for target in report(six=3.3, memory=80.5).targets if not target.ok}
    assert missed == {"six_to_one", "pss_mib"}, "of the memories the largest counts"


def test_what_was_not_measured_is_not_met() -> None:
    found = report()
    bare = Report({}, 1, {**found.measures, "at_once_6": Measure("six")})
    assert bare.ratios["six_to_one"] is None
    assert [target.name for target in bare.targets if not target.ok] == ["six_to_one"]


def test_programs_get_every_sample() -> None:
    found = json.loads(json.dumps(report().as_json()))
    assert found["ratios"]["warm_to_raw"] == 1.0
    assert found["pss_mib_median"] == 65.0 and found["pss_mib_max"] == 70.0
    assert found["targets"]["warm_to_cold"] == {"limit": 0.3, "value": 0.2, "ok": True}
    assert found["measures"]["cold"]["ours"] == {"median": 5.0, "min": 4.0, "max": 9.0, "samples": [4.0, 5.0, 9.0]}
    assert found["measures"]["at_once_6"]["floor"] is None
