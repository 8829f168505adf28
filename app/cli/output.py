"""What the command line prints: results on stdout, everything else on stderr, hostile text made harmless."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime

from rich.console import Console
from rich.text import Text

from app.domain.errors import ConfigError, EngineError, HostError, ImageError, MessageExpired, ReplyPending, SkerryError
from app.domain.text import first_line, printable

FAILED = 1
USAGE = 2
ENGINE = 3
MACHINE = 4
EXPIRED = 5
TIMED_OUT = 6
ASKED = 7
INTERNAL = 70
INTERRUPTED = 130

EXIT_CODES = """\
\b
Exit status:
  0  done
  1  refused or failed; the message says why
  2  the command line or the project's files have a mistake
  3  the engine cannot be started, reached or stopped
  4  this machine lacks something: a package, a right, space, an image, a key
  5  nobody read the message in time: it is withdrawn
  6  the time for waiting is over; the message was sent, a reply still comes
  7  the rules ask the user about this command
 70  a mistake of Skerry's own
130  interrupted"""

MIN_WIDTH = 40

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def exit_status(error: SkerryError) -> int:
    """The exit status that belongs to ``error``."""
    match error:
        case ConfigError():
            return USAGE
        case EngineError():
            return ENGINE
        case MessageExpired():
            return EXPIRED
        case ReplyPending():
            return TIMED_OUT
        case HostError() | ImageError():
            return MACHINE
        case _:
            return FAILED


def console() -> Console:
    """A console on stdout as it is now: plain when it is no terminal."""
    return Console(markup=False, highlight=False, soft_wrap=True)


def error_console() -> Console:
    """The same on stderr."""
    return Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def width_of(out: Console) -> int | None:
    """Columns of a terminal; None when it is none, and lines may have any length."""
    return max(out.width, MIN_WIDTH) if out.is_terminal else None


def say(text: str, style: str = "") -> None:
    """Print a line of the result."""
    console().print(Text(printable(text), style=style))


def tell(text: str, style: str = "") -> None:
    """Print a line about the work, on stderr."""
    error_console().print(Text(printable(text), style=style))


def complain(error: SkerryError) -> None:
    """Print an error and its remedy on stderr."""
    err = error_console()
    err.print(Text.assemble(("error: ", "bold red"), printable(error.message)))
    if error.hint:
        err.print(Text.assemble(("remedy: ", "bold"), printable(error.hint)))


def plain(text: str) -> str:
    """``text`` of an agent or a program for display: no colours, no overwritten lines, nothing that steers."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in _ESCAPES.sub("", text).split("\n"))
    return printable("\n".join(lines))


def plain_line(text: str, width: int = 160) -> str:
    """The first line of ``text`` that says something, harmless, at most ``width`` characters."""
    return first_line(plain(text), width)


def clock(at: datetime) -> str:
    """A time for people: of this machine's time zone, with the date unless it is today."""
    local = at.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == datetime.now().astimezone().date() else f"{local:%Y-%m-%d %H:%M:%S}"


def emit_json(value: object) -> None:
    """Print ``value`` as JSON on stdout, for programs."""
    sys.stdout.write(_json(value, indent=2) + "\n")


def emit_json_line(value: object) -> None:
    """Print ``value`` as one line of JSON on stdout, at once."""
    sys.stdout.write(_json(value) + "\n")
    sys.stdout.flush()


def _json(value: object, indent: int | None = None) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    # JSON need not escape these, but a terminal obeys some of them.
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
