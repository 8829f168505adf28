"""What may not come out of a machine, each with its reason; a list that no machine can make long."""

from __future__ import annotations

_KEPT = 100
_NAME_LENGTH = 200


class Refusals:
    """The first of them by name, the rest counted."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._named: list[tuple[str, str]] = []
        self._more = 0

    def add(self, raw: bytes, reason: str) -> None:
        """``raw`` is the name as the machine gave it."""
        if len(self._named) < self._kept:
            self._named.append((printable(raw), reason))
        else:
            self._more += 1

    def report(self) -> tuple[tuple[str, str], ...]:
        """(name, reason), and at the end how many more there were."""
        if not self._more:
            return tuple(self._named)
        return (*self._named, ("…", f"{self._more} more were refused"))


def printable(raw: bytes) -> str:
    """A hostile name for a report: shortened, without control characters."""
    text = raw[:_NAME_LENGTH].decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
