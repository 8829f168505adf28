"""How memory files and facts are cut into the pieces that the search index finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain import events as ev
from app.domain.envelope import USER
from app.domain.events import Event
from app.domain.notes import readable, sections
from app.domain.search import Kind
from app.store.search_schema import MARKS, scope_of

MAX_LINES = 40
MAX_CHARACTERS = 4_000
_NO_MARKS = str.maketrans(dict.fromkeys(("\x00", *MARKS), "\ufffd"))


@dataclass(frozen=True, slots=True)
class Piece:
    """A text and where it stands: ``place`` is the line its body begins at (from 1), or the turn.

    ``at`` is in Unix seconds; ``ref`` the id of a message or an interrupt, or the line of a file's heading.
    """

    kind: Kind
    fleet: str
    agent: str
    at: float
    heading: str
    body: str
    place: int = 0
    run: str = ""
    ref: str = ""
    scope: str = ""


def pieces_of_file(data: bytes, *, fleet: str, agent: str, at: float) -> list[Piece]:
    """A memory file, by heading; long sections in several pieces."""
    lines = readable(data).translate(_NO_MARKS).split("\n")
    scope = scope_of("memory", fleet, [agent])
    return [
        Piece("memory", fleet, agent, at, section.heading, body, start + 1, ref=str(section.start + 1), scope=scope)
        for section in sections(lines)
        for start, body in _chunks(lines, section.start + bool(section.level), section.end)
        if section.level or body.strip()
    ]


def pieces_of_facts(facts: Sequence[Event]) -> list[Piece]:
    """What was said, run, written to each other and asked in these facts."""
    return [piece for fact in facts for piece in _pieces_of(fact)]


def _pieces_of(fact: Event) -> Iterator[Piece]:
    match fact:
        case ev.MessageAccepted(envelope=envelope):
            agents = [name for name in (envelope.sender, envelope.recipient) if name != USER]
            who = envelope.sender
            yield from _cut(fact, "message", envelope.subject, envelope.body, ref=envelope.id, agents=agents, who=who)
        case ev.AgentSaid():
            yield from _cut(fact, "transcript", "thought" if fact.thought else "said", fact.text, place=fact.turn)
        case ev.ToolEnded():
            text = "\n".join(part for part in (fact.command, fact.output) if part)
            yield from _cut(fact, "transcript", fact.title or fact.command, text, place=fact.turn)
        case ev.InterruptRaised(interrupt=item):
            body = "\n\n".join(part for part in (item.title, item.body) if part)
            yield from _cut(fact, "interrupt", str(item.kind).replace("_", " "), body, ref=item.id)
        case ev.InterruptSettled(answer=answer) if answer is not None and (answer.text or answer.option):
            body = "\n".join(part for part in (answer.option, answer.text) if part)
            yield from _cut(fact, "interrupt", "answer", body, ref=fact.interrupt_id)
        case _:
            return


def _cut(
    fact: Event,
    kind: Kind,
    heading: str,
    text: str,
    *,
    place: int = 0,
    ref: str = "",
    agents: Sequence[str] = (),
    who: str = "",
) -> Iterator[Piece]:
    scope = scope_of(kind, fact.fleet, agents or [fact.agent])
    lines = text.translate(_NO_MARKS).split("\n")
    for _, body in _chunks(lines, 0, len(lines)):
        if body.strip() or heading:
            title = heading.translate(_NO_MARKS)[:MAX_CHARACTERS]
            yield Piece(
                kind, fact.fleet, who or fact.agent, _seconds(fact.at), title, body, place, fact.run, ref, scope
            )


def _chunks(lines: Sequence[str], start: int, end: int) -> Iterator[tuple[int, str]]:
    """(number of the first line, text) of pieces of bounded size; one, empty, of no lines."""
    if start == end:
        yield start, ""
    while start < end:
        size, stop = len(lines[start]), start + 1
        while stop < min(end, start + MAX_LINES) and size + len(lines[stop]) < MAX_CHARACTERS:
            size += len(lines[stop]) + 1
            stop += 1
        text = "\n".join(lines[start:stop])
        # A line longer than a piece is cut; with overlap, so that no word or phrase of the usual length is.
        for begin in range(0, max(1, len(text)), MAX_CHARACTERS):
            yield start, text[begin : begin + MAX_CHARACTERS + 200]
        start = stop


def _seconds(at: datetime) -> float:
    return at.timestamp()
