"""``skerry doctor``: what this machine has and lacks, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from app.cli.listing import wrapped
from app.cli.output import MACHINE, console, emit_json, plain_line, width_of
from app.config import Paths
from app.domain.finding import Finding

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command()(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="The result for programs.")] = False) -> None:
    """Look at everything Skerry needs on this machine. Nothing is changed."""
    from app.engine.doctor import examine

    found = examine(Paths.from_environment(), Path())
    failed = any(finding.state == "failed" for finding in found)
    if as_json:
        emit_json({"ok": not failed, "checks": [asdict(finding) for finding in found]})
    else:
        _show(found)
    raise typer.Exit(MACHINE if failed else 0)


def _show(found: list[Finding]) -> None:
    out = console()
    width = width_of(out)
    room = max(len(finding.name) for finding in found)
    for group, findings in groupby(found, key=lambda finding: finding.group):
        out.print(Text(group, "bold"))
        for finding in findings:
            head = Text.assemble("  ", (f"{finding.state:<7}", _STYLES[finding.state]), f"  {finding.name:<{room}}  ")
            reason = plain_line(finding.reason, 400)
            if width is None or head.cell_len + 24 < width:
                lines = wrapped(Text(reason), width and width - head.cell_len)
                indent = Text(" " * head.cell_len)
            else:
                lines, indent = [Text(), *wrapped(Text(reason), width - 4)], Text(" " * 4)
            for number, line in enumerate(lines):
                out.print((head if number == 0 else indent) + line)
            if finding.remedy:
                out.print(indent + Text("→ " + finding.remedy, "bold"))
