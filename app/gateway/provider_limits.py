"""What a provider says of its limits of use: whether one is reached, and when it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from app.domain.text import first_line, printable
from app.gateway.door import UsageLimit

PATIENCE_SECONDS = 60.0
"""A shorter wait is the programs' own: their clients know how to wait for a rate that is exceeded for a moment."""
_USED_UP = frozenset({"usage_limit_reached", "insufficient_quota", "billing_hard_limit_reached", "usage_not_included"})
"""Types and codes of errors that say that more tries are of no use (OpenAI's platform, and its plans for Codex)."""
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_RESET_AT = (
    "anthropic-ratelimit-unified-reset",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-reset",
)
_RESET_IN = ("x-ratelimit-reset-requests", "x-ratelimit-reset-tokens")


def read_usage_limit(status: int, headers: Mapping[str, str], body: bytes, now: float) -> UsageLimit | None:
    """The limit that an answer tells of; None when it tells of none, or of one that is over in a moment.

    ``now`` and what providers call reset times are Unix seconds.
    """
    if status not in (402, 429):
        return None
    error = _error(body)
    seconds = next(_waits(headers, error, now), None)
    words = {error.get("type"), error.get("code")}
    if status == 429 and not words & _USED_UP and (seconds is None or seconds <= PATIENCE_SECONDS):
        return None
    message = error.get("message")
    detail = printable(first_line(message, 300)) if isinstance(message, str) else ""
    return UsageLimit(None if seconds is None else max(0.0, seconds), detail)


def _error(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) else {}


def _waits(headers: Mapping[str, str], error: Mapping[str, Any], now: float) -> Iterator[float]:
    """Seconds to wait, from the surest word to the vaguest."""
    for key, begin in (("resets_at", now), ("resets_in_seconds", 0.0)):
        value = error.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value) - begin
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        yield milliseconds / 1000
    if (after := headers.get("retry-after")) is not None and (found := _retry_after(after, now)) is not None:
        yield found
    # Of several windows the one that is used up is the last to open.
    found_resets = [_moment(headers[name], now) for name in _RESET_AT if name in headers]
    found_resets += [_duration(headers[name]) for name in _RESET_IN if name in headers]
    resets = [item for item in found_resets if item is not None]
    if resets:
        yield max(resets)


def _retry_after(text: str, now: float) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date."""
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None


def _moment(text: str, now: float) -> float | None:
    """Unix seconds, or RFC 3339 as Anthropic's documentation has it."""
    seconds = _number(text)
    if seconds is not None:
        return seconds - now
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _duration(text: str) -> float | None:
    """``6m0s``, ``1h30m``, ``20ms``: how OpenAI writes when a window opens again."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not text.strip():
        return None
    days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return days * 86_400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text.strip()) else None
