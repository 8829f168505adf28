"""What text may cross between agents, and the refusals when it may not."""

from __future__ import annotations

from app.domain.errors import ActionRefused

_ALLOWED_CONTROLS = frozenset("\n\t")
# Characters that reorder what a person sees (Unicode TR36 section 3.3): a message could read other than it says.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def check_text(text: str, *, what: str, max_bytes: int) -> str:
    """Return ``text`` unchanged, or raise ActionRefused naming ``what`` is wrong and what would be right.

    Refused, never repaired: control characters beyond newline and tab, bidirectional overrides, lone surrogates,
    and more than ``max_bytes`` bytes of UTF-8.
    """
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ActionRefused(f"{what} is not valid Unicode at character {error.start}", operation="check text") from None
    if size > max_bytes:
        raise ActionRefused(
            f"{what} has {size} bytes, {max_bytes} are allowed",
            operation="check text",
            hint="shorten it, or put the details in a file of your workspace",
        )
    for position, char in enumerate(text):
        if char in _ALLOWED_CONTROLS:
            continue
        if ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F or char in _BIDI:
            raise ActionRefused(
                f"{what} has the forbidden character U+{ord(char):04X} at {position}",
                operation="check text",
                hint="use plain text; of the control characters only newline and tab are allowed",
            )
    return text


def printable(text: str) -> str:
    """``text`` for display: characters that could steer a terminal or reorder a line become U+FFFD."""
    return "".join(
        char
        if char in _ALLOWED_CONTROLS or not (ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F or char in _BIDI)
        else "\ufffd"
        for char in text
    )


def first_line(text: str, width: int = 120) -> str:
    """The first line that says something, at most ``width`` characters, with an ellipsis where it was cut."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
