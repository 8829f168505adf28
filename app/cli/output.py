"""What the command line prints: results on stdout, everything else on stderr, hostile text made harmless."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.errors import ConfigError, EngineError, HostError, ImageError, SkerryError
from app.domain.text import printable

FAILED = 1
USAGE = 2
ENGINE = 3
MACHINE = 4
INTERNAL = 70
INTERRUPTED = 130

EXIT_CODES = """\
\b
Exit status:
  0  done
  1  refused or failed; the message says why
  2  the command line or the project's files have a mistake
  3  the engine cannot be started, reached or stopped
  4  this machine lacks something: a package, a right, space, an image
 70  a mistake of Skerry's own
130  interrupted"""


def exit_status(error: SkerryError) -> int:
    """The exit status that belongs to ``error``."""
    match error:
        case ConfigError():
            return USAGE
        case EngineError():
            return ENGINE
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


def emit_json(value: object) -> None:
    """Print ``value`` as JSON on stdout, for programs."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def emit_json_line(value: object) -> None:
    """Print ``value`` as one line of JSON on stdout, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print ``rows`` under ``columns``, the keys of each row."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        view.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        view.add_row(*(Text(printable(str(row.get(column, "")))) for column in columns))
    console().print(view)
