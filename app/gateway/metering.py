"""Token counts out of what a provider sends, read on the side while the bytes go through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""A longer event of a stream is let through uncounted."""
_PARTS = ("response", "message")


class UsageReader:
    """Feeds on the bytes of an answer, JSON or an event stream, and knows the tokens (input, output) it told of."""

    def __init__(self, *, stream: bool) -> None:
        self._stream = stream
        self._rest = bytearray()
        self._skipping = False
        self._input = 0
        self._output = 0
        self._cached = 0
        self._written = 0

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output tokens so far. Providers count cumulatively: the largest number counts."""
        return self._input, self._output

    @property
    def cache(self) -> tuple[int, int]:
        """Of the input: tokens read from the provider's cache, and written into it."""
        return self._cached, self._written

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._rest += chunk
        if self._stream:
            *lines, rest = bytes(self._rest).split(b"\n")
            for line in lines:
                self._line(line)
            self._rest = bytearray(rest)
        if len(self._rest) > MAX_EVENT_BYTES:
            self._rest.clear()
            self._skipping = True

    def end(self) -> None:
        """The answer is complete."""
        if self._stream:
            self._line(bytes(self._rest))
        elif not self._skipping:
            self._read(bytes(self._rest))
        self._rest.clear()

    def _line(self, line: bytes) -> None:
        skip, self._skipping = self._skipping, False
        # Only few events carry a usage; the others are not worth parsing.
        if not skip and line.startswith(b"data:") and b'"usage"' in line:
            self._read(line[5:])

    def _read(self, text: bytes) -> None:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return
        for part in _with_usage(found):
            given, made = count(part)
            self._input, self._output = max(self._input, given), max(self._output, made)
            cached, written = count_cached(part)
            self._cached, self._written = max(self._cached, cached), max(self._written, written)


def count(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Input and output tokens of one usage object of the OpenAI or the Anthropic API."""
    cached = _number(usage, "cache_creation_input_tokens") + _number(usage, "cache_read_input_tokens")
    given = _number(usage, "input_tokens") + cached or _number(usage, "prompt_tokens")
    return given, _number(usage, "output_tokens") or _number(usage, "completion_tokens")


def count_cached(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Of these, input tokens read from the cache and written into it; OpenAI tells of them in ``…_tokens_details``."""
    found = usage.get("input_tokens_details") or usage.get("prompt_tokens_details")
    details = found if isinstance(found, dict) else {}
    cached = _number(usage, "cache_read_input_tokens") or _number(details, "cached_tokens")
    return cached, _number(usage, "cache_creation_input_tokens") or _number(details, "cache_write_tokens")


def _with_usage(found: object) -> list[dict[str, Any]]:
    if not isinstance(found, dict):
        return []
    holders = [found, *(found[part] for part in _PARTS if isinstance(found.get(part), dict))]
    return [holder["usage"] for holder in holders if isinstance(holder.get("usage"), dict)]


def _number(usage: Mapping[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
