"""A memory with its history as one file of JSON lines, and back. The format is described in docs/memory.md.

What comes in may be anybody's: it is believed only when every line, number, size and hash fits, and in bounded space.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from app.domain.errors import ActionRefused
from app.domain.memory import MAX_FILE_BYTES, Author, Change, ChangeKind, Revision
from app.domain.text import check_text, first_line
from app.store.memory_revisions import Draft, shared_ends

VERSION = 1
MAX_EXPORT_BYTES = 256 * 1_048_576
MAX_REVISIONS = 100_000
MAX_UNPACKED_BYTES = 2 * 1_073_741_824
"""Bytes of all contents together: a small file must not keep us busy for ever."""

Size = Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Head(_Line):
    """The first line: what this is, and of whom."""

    format: Literal["skerry-memory"]
    version: int
    agent: str = Field(max_length=40)
    fleet: str = Field(max_length=100)
    exported_at: str = Field(max_length=64)
    revisions: int = Field(ge=0, le=MAX_REVISIONS)


class _Entry(_Line):
    """One revision: the first ``head`` and the last ``tail`` bytes of the one before, ``text`` between.

    ``base64`` instead of ``text`` holds what is not UTF-8.
    """

    revision: int = Field(ge=1)
    at: Annotated[AwareDatetime, Field(strict=False)]
    author: Author
    action: ChangeKind
    heading: str = ""
    why: str = ""
    run: str = Field(default="", max_length=100)
    turn: int = Field(default=0, ge=0)
    origin: str = Field(default="", max_length=200)
    size: Size
    sha256: Digest
    head: Size
    tail: Size
    text: str | None = None
    base64: str | None = None


class _End(_Line):
    """The last line: the hash of all lines before it."""

    end: Digest


def export_lines(
    agent: str, fleet: str, history: Iterable[tuple[Revision, bytes]], count: int, now: datetime
) -> Iterator[bytes]:
    """The file, line by line; ``history`` is oldest first, of ``count`` revisions."""
    head = _Head(
        format="skerry-memory",
        version=VERSION,
        agent=agent,
        fleet=fleet,
        exported_at=now.isoformat(),
        revisions=count,
    )
    digest, before = hashlib.sha256(), b""
    for line in _lines(head, history, before):
        digest.update(line)
        yield line
    yield _dumped(_End(end=digest.hexdigest()))


def _lines(head: _Head, history: Iterable[tuple[Revision, bytes]], before: bytes) -> Iterator[bytes]:
    yield _dumped(head)
    for revision, content in history:
        yield _dumped(_entry(revision, content, before))
        before = content


def _entry(revision: Revision, content: bytes, before: bytes) -> _Entry:
    start, tail = shared_ends(before, content)
    body, change = content[start : len(content) - tail], revision.change
    try:
        between: dict[str, str] = {"text": body.decode("utf-8")}
    except UnicodeDecodeError:  # also when a character is cut in two
        between = {"base64": base64.b64encode(body).decode("ascii")}
    return _Entry(
        revision=revision.number,
        at=revision.at,
        author=change.author,
        action=change.action,
        heading=change.heading,
        why=change.why,
        run=change.run,
        turn=change.turn,
        origin=revision.origin,
        size=revision.size,
        sha256=revision.sha256,
        head=start,
        tail=tail,
        **between,
    )


@dataclass(frozen=True, slots=True)
class Imported:
    """An exported file that was checked whole: its newest content, and its revisions, made anew each time."""

    content: bytes
    history: Callable[[], Iterator[Draft]]


def read_export(data: bytes) -> Imported:
    """What an exported file holds. Raises ActionRefused naming the line that does not fit."""
    if len(data) > MAX_EXPORT_BYTES:
        raise _refused(f"it has {len(data)} bytes, {MAX_EXPORT_BYTES} are the most")
    lines = [line + b"\n" for line in data.removesuffix(b"\n").split(b"\n")]
    head = _parsed(_Head, lines, 0)
    if head.version != VERSION:
        raise _refused(f"it is of version {head.version}, this Skerry reads {VERSION}", "take a newer Skerry")
    if len(lines) != head.revisions + 2:
        raise _refused(f"it has {len(lines)} lines, not {head.revisions + 2}: it was cut or added to")
    if _parsed(_End, lines, len(lines) - 1).end != hashlib.sha256(b"".join(lines[:-1])).hexdigest():
        raise _refused("it was changed after it was written")
    if not head.revisions:
        raise _refused("it has no revisions")
    _check_words(head.agent, "agent", 0)
    newest = b""
    for draft in _history(lines, head):
        newest = draft.content
    return Imported(newest, partial(_history, lines, head))


def _history(lines: Sequence[bytes], head: _Head) -> Iterator[Draft]:
    """Every revision with its content rebuilt and checked."""
    before, last, total = b"", 0, 0
    for number in range(1, head.revisions + 1):
        entry = _parsed(_Entry, lines, number)
        if entry.revision <= last:
            raise _refused(f"line {number + 1}: revision {entry.revision} comes after {last}")
        for what in ("heading", "why", "run", "origin"):
            _check_words(getattr(entry, what), what, number)
        before, last, total = _content(entry, before, number), entry.revision, total + entry.size
        if total > MAX_UNPACKED_BYTES:
            raise _refused(f"its revisions have more than {MAX_UNPACKED_BYTES} bytes together")
        change = Change(entry.author, entry.action, entry.heading, entry.why, entry.run, entry.turn)
        yield Draft(before, change, origin=f"{head.agent} of {head.fleet}, revision {entry.revision}", at=entry.at)


def _content(entry: _Entry, before: bytes, number: int) -> bytes:
    if (entry.text is None) == (entry.base64 is None) or entry.head + entry.tail > len(before):
        raise _refused(f"line {number + 1}: its parts do not fit together")
    try:
        body = (
            base64.b64decode(entry.base64, validate=True) if entry.base64 is not None else (entry.text or "").encode()
        )
    except ValueError:  # half a character is none that UTF-8 has
        raise _refused(f"line {number + 1}: its text is damaged") from None
    if entry.head + len(body) + entry.tail != entry.size:
        raise _refused(f"line {number + 1}: its size is not what it says")
    content = before[: entry.head] + body + before[len(before) - entry.tail :]
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise _refused(f"line {number + 1}: its text is not what was exported")
    return content


def _check_words(text: str, what: str, number: int) -> None:
    try:
        check_text(text, what=what, max_bytes=1_000)
    except ActionRefused as error:
        raise _refused(f"line {number + 1}: {error.message}") from None


def _parsed(kind: type[Any], lines: Sequence[bytes], number: int) -> Any:
    try:
        return kind.model_validate_json(lines[number])
    except IndexError:
        raise _refused("it is empty") from None
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the line"
        raise _refused(f"line {number + 1}: {place}: {first_line(problem['msg'])}") from None


def _dumped(line: _Line) -> bytes:
    # Only ASCII: line separators of Unicode are no ends of lines here.
    text = json.dumps(line.model_dump(mode="json", exclude_none=True), ensure_ascii=True, separators=(",", ":"))
    return text.encode() + b"\n"


def _refused(words: str, hint: str = "take a file that 'skerry memory export' wrote") -> ActionRefused:
    return ActionRefused(f"the file cannot be imported: {words}", operation="import memory", hint=hint)
