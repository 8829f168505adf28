"""``skerry interrupts``: what the agents need the user for, now or as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from app.cli.listing import wrapped
from app.cli.look import RunOption, find_id, open_board
from app.cli.output import clock, console, emit_json, emit_json_line, plain, plain_line, say, tell, width_of
from app.cli.place import ProjectOption, naming
from app.cli.story import answer_words, how_to_answer, question_text
from app.config import Paths
from app.domain.board import Board
from app.domain.errors import ConfigError
from app.domain.interrupt import Exhibit, Interrupt, InterruptKind, InterruptState
from app.store.journal import JournalReader

JsonOption = Annotated[bool, typer.Option("--json", help="For programs; with --follow one object a line.")]
POLL_SECONDS = 0.2


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command()(interrupts)


def interrupts(
    one: Annotated[str, typer.Argument(metavar="ID", help="Only this one, answered or not.")] = "",
    project: ProjectOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Answered ones too.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones, until the run ends.")] = False,
    run: RunOption = "",
    as_json: JsonOption = False,
) -> None:
    """List what the agents need you for, and how to answer."""
    if follow and (one or run):
        raise ConfigError("--follow is for all of the newest run", operation="interrupts", hint="leave ID and --run")
    loaded, board, paths = open_board(project, run)
    found = list(board.interrupts.values()) if everything else board.open_interrupts
    if one:
        found = [board.interrupts[find_id(one, board.interrupts, "interrupt")]]
    if follow:
        _follow(paths, board, found, naming(loaded), as_json)
        return
    if as_json:
        emit_json({"run": board.run, "interrupts": [item.model_dump(mode="json") for item in found]})
        return
    if not found:
        say("No agent has asked anything yet." if everything else "No agent needs you.")
    for number, item in enumerate(found):
        if number:
            console().print()
        _show(item, naming(loaded), whole=bool(one))


def _follow(paths: Paths, board: Board, found: list[Interrupt], where: str, as_json: bool) -> None:
    """Those that are there, then each as it is raised; ends with the run, or by Ctrl-C."""
    seen = set(board.interrupts)
    try:
        for item in found:
            _tell_one(item, where, as_json)
        for fresh in _fresh(paths, board, seen):
            _tell_one(fresh, where, as_json)
    except KeyboardInterrupt:
        tell("")


def _fresh(paths: Paths, board: Board, seen: set[str]) -> Iterator[Interrupt]:
    """Interrupts raised from now on. The facts of the board are read once more: that is cheap, and misses none."""
    reader, after, live = JournalReader(paths.journal_db), 0, Board(board.fleet)
    try:
        while not live.outcome or not live.run:
            batch = reader.read(after, limit=10_000)
            for seq, event in batch:
                after = seq
                live.apply(event)
            for item in [item for item in live.interrupts.values() if item.id not in seen]:
                seen.add(item.id)
                yield item
            if not batch:
                time.sleep(POLL_SECONDS)
    finally:
        reader.close()


def _tell_one(item: Interrupt, where: str, as_json: bool) -> None:
    if as_json:
        emit_json_line(item.model_dump(mode="json"))
        return
    _show(item, where, whole=False)
    console().print()


def _show(item: Interrupt, where: str, *, whole: bool) -> None:
    out = console()
    width = width_of(out)
    for line in [*_lines(item, width, where), *_exhibits(item, width, whole)]:
        out.print(line)


def _lines(item: Interrupt, width: int | None, where: str) -> list[Text]:
    who = "wrote" if item.kind is InterruptKind.PROGRESS_REPORT else "asked"
    title, *options = wrapped(question_text(item), width)
    about = Text(f"{item.agent} {who} at {clock(item.raised_at)} ({_about(item)})", "dim")
    head = [title, *wrapped(about, width, indent="  ")]
    body = wrapped(Text(plain(item.body).strip()), width, indent="  ") if item.body.strip() else []
    return [*head, *body, *options, *wrapped(_closing(item, where), width, indent="  ")]


def _about(item: Interrupt) -> str:
    parts = [item.kind.value.replace("_", " ")]
    if item.kind is not InterruptKind.PROGRESS_REPORT:
        parts.append(f"{item.risk.value} risk")
    if item.expires_at is not None and item.state is InterruptState.OPEN:
        parts.append(f"until {clock(item.expires_at)}")
    return ", ".join(parts)


def _exhibits(item: Interrupt, width: int | None, whole: bool) -> list[Text]:
    lines = []
    for exhibit in item.exhibits:
        lines.append(Text(f"  {_named(exhibit)}", "dim"))
        if whole:
            lines += wrapped(Text(plain(exhibit.text)), width, indent="    ")
    return lines


def _named(exhibit: Exhibit) -> str:
    size = len(exhibit.text.encode())
    return f"attached: {plain_line(exhibit.name)} ({plain_line(exhibit.media_type, 80)}, {size} bytes)"


def _closing(item: Interrupt, where: str) -> Text:
    if item.state is not InterruptState.OPEN:
        words = f": {answer_words(item.answer)}" if item.answer else ""
        return Text(f"{item.state.value}{words}", "green" if item.answer else "dim")
    return Text(how_to_answer(item, where), "dim" if item.kind is InterruptKind.PROGRESS_REPORT else "cyan")
