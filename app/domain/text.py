"""What text may cross between agents, and the refusals when it may not."""

from __future__ import annotations

import re

from app.domain.errors import ActionRefused

_ALLOWED_CONTROLS = frozenset("\n\t")
# Characters that reorder what a person sees (Unicode TR36 section 3.3): a message could read other than it says.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")

# Format characters that no plain text needs: line separators (a second line in a subject), word joiners and invisible
# operators, the byte order mark, interlinear annotations.
_HIDDEN = frozenset("\u2028\u2029\ufeff\ufff9\ufffa\ufffb") | {chr(code) for code in range(0x2060, 0x2070)}
# Joiners and variation selectors make emoji and Indic, Persian or Khmer text, one or two at a time (a heart on fire has
# both). Longer runs show nothing and can carry any bytes past the reader.
_INVISIBLE_RUN = re.compile("[\u200b-\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]{3,}")
# Tag characters spell invisible ASCII; the flags of regions (England, Scotland, Wales) are their only use.
_REGION_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,6}\U000e007f")


def _forbidden(char: str) -> bool:
    """Whether a character may never stand in text that crosses, whatever is beside it."""
    code = ord(char)
    if char in _ALLOWED_CONTROLS:
        return False
    control = code < 0x20 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF
    nonchar = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return control or nonchar or char in _BIDI or char in _HIDDEN or 0xE0000 <= code <= 0xE007F


def check_text(text: str, *, what: str, max_bytes: int) -> str:
    """Return ``text`` unchanged, or raise ActionRefused naming ``what`` is wrong and what would be right.

    Refused, never repaired: control characters beyond newline and tab, bidirectional overrides, lone surrogates,
    noncharacters, hidden text, and more than ``max_bytes`` bytes of UTF-8.
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
    for position, char in enumerate(_REGION_FLAG.sub(_blank, text)):
        if _forbidden(char):
            raise ActionRefused(
                f"{what} has the forbidden character U+{ord(char):04X} at {position}",
                operation="check text",
                hint="use plain text; of the control characters only newline and tab are allowed",
            )
    hidden = _INVISIBLE_RUN.search(text)
    if hidden is not None:
        raise ActionRefused(
            f"{what} has {len(hidden[0])} invisible characters in a row at {hidden.start()}",
            operation="check text",
            hint="leave them out; at most two joiners or variation selectors may follow each other",
        )
    return text


def printable(text: str) -> str:
    """``text`` for display: characters that could steer a terminal or reorder a line become U+FFFD."""
    shown = _REGION_FLAG.sub(_blank, text)
    return "".join("\ufffd" if _forbidden(mark) else char for char, mark in zip(text, shown, strict=True))


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def first_line(text: str, width: int = 120) -> str:
    """The first line that says something, at most ``width`` characters, with an ellipsis where it was cut."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
