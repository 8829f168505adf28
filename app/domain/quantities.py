"""Sizes and durations as people write them: ``1GiB``, ``256KiB``, ``4h``, ``10m``, ``1h30m``."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]i?B|B)?", re.IGNORECASE)
_SIZE_UNITS = {"b": 1} | {
    f"{letter}{binary}b": (1024 if binary else 1000) ** power
    for power, letter in enumerate("kmgt", start=1)
    for binary in ("", "i")
}
_PART = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d)\s*")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_size(value: object) -> int:
    """Bytes of ``'1GiB'``, ``'500 MB'`` or a plain number of bytes. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a size such as 512MiB, 1GiB or 256KiB")
    return int(float(match["number"]) * _SIZE_UNITS[(match["unit"] or "B").lower()])


def parse_duration(value: object) -> float:
    """Seconds of ``'4h'``, ``'1h30m'``, ``'250ms'`` or a plain number of seconds. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    text = value.strip() if isinstance(value, str) else ""
    parts = list(_PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise ValueError("expected a duration such as 30s, 10m, 4h or 1h30m")
    return sum(float(part["number"]) * _SECONDS[part["unit"]] for part in parts)


def format_size(size: int) -> str:
    """``size`` bytes for a person: the largest binary unit that leaves a short number."""
    number, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.1f}".removesuffix(".0") + unit


def format_duration(seconds: float) -> str:
    """``seconds`` for a person, at most two units: ``45s``, ``10m``, ``1h30m``."""
    left = max(0, round(seconds))
    words: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words[:2]) or "0s"


def _schema(example: str, pattern: str, number: str) -> WithJsonSchema:
    either: list[dict[str, Any]] = [{"type": number, "exclusiveMinimum": 0}, {"type": "string", "pattern": pattern}]
    return WithJsonSchema({"anyOf": either, "examples": [example]})


Size = Annotated[
    int,
    Field(gt=0),
    BeforeValidator(parse_size),
    _schema("1GiB", r"^\d+(\.\d+)?\s*([KkMmGgTt]i?[Bb]|[Bb])?$", "integer"),
]
"""Bytes, above zero."""

Duration = Annotated[
    float,
    Field(gt=0),
    BeforeValidator(parse_duration),
    _schema("10m", r"^(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+$", "number"),
]
"""Seconds, above zero."""
