"""Figures of a benchmark: samples of ours and of the floor, their medians and spread, ratios and targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

SideName = Literal["ours", "floor"]


@dataclass(slots=True)
class Measure:
    """One thing that was measured, on both sides; smaller is better."""

    title: str
    unit: str = "s"
    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Our median to the floor's; None where one of them is missing."""
        return median(self.ours) / median(self.floor) if self.ours and self.floor else None

    def of(self, side: SideName) -> list[float]:
        """The samples of one side."""
        return self.ours if side == "ours" else self.floor


@dataclass(frozen=True, slots=True)
class Target:
    """What ``value`` must not exceed; what was not measured (None) is not met."""

    name: str
    limit: float
    value: float | None

    @property
    def ok(self) -> bool:
        """Whether it is met."""
        return self.value is not None and self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Report:
    """What ``skerry bench sandbox`` found, and on which machine."""

    machine: Mapping[str, object]
    rounds: int
    measures: Mapping[str, Measure]

    @property
    def ratios(self) -> dict[str, float | None]:
        """By the names of the acceptance criteria; None for what was not measured."""
        cold, warm, six = (self.measures.get(name, Measure("")) for name in ("cold", "warm", "at_once_6"))
        return {
            "warm_to_cold": _ratio(warm.ours, cold.ours),
            "warm_to_raw": warm.ratio,
            "cold_to_raw": cold.ratio,
            "six_to_one": _ratio(six.ours, warm.ours),
            "roundtrip_to_openssh": self.measures["roundtrip"].ratio,
        }

    @property
    def targets(self) -> list[Target]:
        """Each limit with what was found."""
        limits = {
            "warm_to_cold": 0.3,
            "warm_to_raw": 1.3,
            "cold_to_raw": 1.3,
            "six_to_one": 3.2,
            "roundtrip_to_openssh": 1.3,
        }
        found = [Target(name, limit, self.ratios[name]) for name, limit in limits.items()]
        memory = self.measures["pss"].ours
        return [*found, Target("pss_mib", 80.0, max(memory) if memory else None)]

    def as_json(self) -> dict[str, object]:
        """For programs."""
        memory = self.measures["pss"].ours
        return {
            "machine": dict(self.machine),
            "rounds": self.rounds,
            "measures": {name: _measure_json(measure) for name, measure in self.measures.items()},
            "ratios": {name: _rounded(value) for name, value in self.ratios.items()},
            "pss_mib_median": _rounded(median(memory)) if memory else None,
            "pss_mib_max": _rounded(max(memory)) if memory else None,
            "targets": {t.name: {"limit": t.limit, "value": _rounded(t.value), "ok": t.ok} for t in self.targets},
        }


def median(samples: Sequence[float]) -> float:
    """The middle one; of an even number, the mean of the two in the middle."""
    return statistics.median(samples)


def p95(samples: Sequence[float]) -> float:
    """The value that 95 of 100 samples do not exceed."""
    return statistics.quantiles(samples, n=20)[-1] if len(samples) > 1 else samples[0]


def _ratio(first: Sequence[float], second: Sequence[float]) -> float | None:
    return median(first) / median(second) if first and second else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _measure_json(measure: Measure) -> dict[str, object]:
    return {
        "title": measure.title,
        "unit": measure.unit,
        "ours": _samples_json(measure.ours),
        "floor": _samples_json(measure.floor),
        "ratio": _rounded(measure.ratio),
    }


def _samples_json(samples: Sequence[float]) -> dict[str, object] | None:
    if not samples:
        return None
    return {
        "median": _rounded(median(samples)),
        "min": _rounded(min(samples)),
        "max": _rounded(max(samples)),
        "samples": [_rounded(sample) for sample in samples],
    }
