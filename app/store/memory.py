"""One agent's memory file: plain Markdown that a person may edit too, every revision kept.

A write is a draft beside the file, an intent in the database, one step that swaps the two, the note that it is done.
Killed anywhere, the next to come finds where it stood. What a person saved meanwhile is what the swap displaced: it
becomes a revision and is brought together with what the agent wrote. Why so: docs/decisions/0018-memory-file.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from app.domain.errors import ActionRefused
from app.domain.memory import MAX_MEMORY_BYTES, MAX_NOTE_BYTES, Change, Dispute, Revision
from app.domain.merge import base_of, merge
from app.domain.notes import (
    Notes,
    append_note,
    has_open_fence,
    heading_name,
    readable,
    replace_section,
    sections,
)
from app.domain.text import check_text
from app.store.memory_place import MemoryPlace, locked
from app.store.memory_revisions import Draft, Kept, Ledger, Revisions

MAX_HEADING_BYTES = 200
MAX_WHY_BYTES = 400
_TRIES = 50
_NOBODY = Change("agent", "append")

Step = Callable[[str], None]
"""Told of each step of a write: tests end the process there."""


def _no_step(name: str) -> None:
    pass


class MemoryFile:
    """Reads and writes ``path``. All writers of ours take turns by ``lock``; may be used from any thread.

    Its methods raise ActionRefused, in words for the agent, when the file cannot be used or the change may not be made.
    """

    def __init__(
        self, path: Path, ledger: Ledger, *, fleet: str, agent: str, lock: Path, step: Step = _no_step
    ) -> None:
        self.path = path
        self._place = MemoryPlace(path)
        self._revisions = Revisions(ledger, fleet=fleet, agent=agent)
        self._lock = lock
        self._step = step

    def read(self) -> str:
        """The whole file; empty when there is none. Bytes that are not UTF-8 come as U+FFFD."""
        with self._settled() as head:
            return readable(head.content)

    def read_bytes(self) -> bytes:
        """The same, as it is."""
        with self._settled() as head:
            return head.content

    def append(self, heading: str, text: str, by: Change = _NOBODY) -> int:
        """Add ``text`` at the end of ``heading`` (made when missing); returns the revision."""
        name = _checked(heading, text, by)
        change = replace(by, action="append", heading=name)
        return self._edit(change, lambda lines: append_note(lines, name, text))

    def replace(self, heading: str, text: str, by: Change = _NOBODY) -> int:
        """Replace what stands under ``heading``; empty text removes the section; returns the revision."""
        name = _checked(heading, text, by)
        change = replace(by, action="replace", heading=name)
        return self._edit(change, lambda lines: replace_section(lines, name, text))

    def restore(self, number: int, by: Change) -> int:
        """Make the file what it was; returns the revision. Raises NotFound when there was none of that number."""
        with self._settled():
            wanted = self._revisions.content(number)
            why = by.why or f"back to revision {number}"
            return self._become(Draft(wanted, replace(by, action="restore", why=why)))

    def take_over(self, content: bytes, by: Change, past: Callable[[], Iterable[Draft]]) -> int:
        """Make the file ``content``, whose ``past`` is put on record after ours; returns the revision."""
        with self._settled():
            return self._become(Draft(content, by), past)

    def search(self, query: str, limit: int = 10) -> list[tuple[str, str]]:
        """(heading, line) of lines that hold every word of ``query``, ignoring case."""
        words = query.casefold().split()
        lines = self.read().splitlines()
        found = [
            (section.heading, line.strip())
            for section in sections(lines)
            for line in lines[section.start + bool(section.level) : section.end]
            if line.strip() and all(word in line.casefold() for word in words)
        ]
        return found[:limit]

    def history(self) -> list[Revision]:
        """All revisions, oldest first; an edit that nobody had noticed is one of them."""
        with self._settled():
            return self._revisions.history()

    def content(self, number: int) -> bytes:
        """What the file was. Raises NotFound."""
        return self._revisions.content(number)

    def recent_headings(self) -> list[str]:
        """Headings the agent wrote under, the newest first."""
        return self._revisions.recent_headings()

    def disputes(self) -> list[Dispute]:
        """Merges with conflicts that nobody has been told of."""
        return self._revisions.disputes()

    def tell(self, dispute: Dispute) -> None:
        """The user has been told."""
        self._revisions.tell(dispute.revision)

    def _edit(self, change: Change, edit: Callable[[Sequence[str]], list[str]]) -> int:
        with self._settled() as head:
            known = self._revisions.of_change(change.id)
            if known is not None:
                return known
            notes = Notes.parse(head.content)
            after = notes.with_lines(edit(notes.lines)).dump()
            _check_size(head.content, after, change)
            return self._become(Draft(after, change))

    def _become(self, draft: Draft, past: Callable[[], Iterable[Draft]] = tuple) -> int:
        """Within the lock, the file being ``head``; afterwards it is the draft, with what came meanwhile."""
        head = self._revisions.head()
        if draft.content == head.content and head.number and draft.change.action != "import":
            return head.number
        number = self._put(draft, past)
        self._settle()
        return number

    @contextmanager
    def _settled(self) -> Iterator[Kept]:
        """Hold the lock, file and revisions agreeing; gives the newest revision, which is the file."""
        with locked(self._lock):
            self._recover()
            yield self._settle()

    def _recover(self) -> None:
        """Finish or undo what a process that was killed had begun."""
        pending = self._revisions.pending()
        file, draft = self._place.inodes()
        if pending is None:
            if draft is not None:
                self._place.clean()
        elif draft == pending[1] or (draft is None and file != pending[1] and self._is_head()):
            self._revisions.abandon()
            self._place.clean()
        else:
            self._place.sync()
            self._conclude()

    def _is_head(self) -> bool:
        return (self._place.read() or b"") == self._revisions.head().content

    def _settle(self) -> Kept:
        """Take in what a person wrote until there is nothing new."""
        for _ in range(_TRIES):
            self._take_late()
            present, head, found = self._place.read(), self._revisions.head(), self._revisions.unmerged()
            if found is not None:
                self._bring_in(found, head, present)
            elif (present or b"") == head.content and (head.number or not present):
                return head
            elif present is not None or not self._place.comes_back():
                change = Change("user", "edit" if present is not None else "remove")
                self._revisions.found(present or b"", change, merged=not head.number)
        raise ActionRefused("the memory file is changed all the time", operation="use memory", hint="try again")

    def _bring_in(self, found: Kept, head: Kept, present: bytes | None) -> None:
        """Merge a found text with what the agent wrote that the person cannot have seen."""
        ours, theirs = Notes.parse(head.content), Notes.parse(found.content)
        contents, displaced = self._revisions.since_the_users()
        known = [Notes.parse(content).lines for content in contents]
        removed = found.change.action == "remove"
        base = ours.lines if removed else base_of(known, theirs.lines, displaced=displaced)
        merged = merge(base, ours.lines, theirs.lines)
        content = found.content if merged.lines == theirs.lines else theirs.with_lines(merged.lines).dump()
        # What was the file last is accepted even if it has been saved again since: that is looked at next.
        if content == found.content and (found.was_last or content == (present or b"")):
            self._revisions.accept(found.number)
            return
        change = Change("skerry", "merge", why=f"what the agent wrote, and the edit of revision {found.number}")
        self._put(Draft(content, change, resolves=found.number, conflicts=merged.conflicts))

    def _take_late(self) -> None:
        for path, content in self._place.late():
            if not self._revisions.has_content(content):
                change = Change("user", "edit", why="saved late, into a file that was replaced")
                self._revisions.found(content, change, behind=self._revisions.head().number)
            path.unlink()

    def _put(self, draft: Draft, past: Callable[[], Iterable[Draft]] = tuple) -> int:
        inode = self._place.write_draft(draft.content)
        self._step("drafted")
        number = self._revisions.intend(chain(past(), (draft,)), inode)
        self._step("intended")
        self._place.swap()
        self._step("swapped")
        self._place.sync()
        self._step("synced")
        self._conclude()
        return number

    def _conclude(self) -> None:
        displaced = self._place.displaced()
        found = self._revisions.unmerged()
        expected = (None, self._revisions.head().content, None if found is None else found.content)
        self._revisions.conclude(None if displaced in expected else displaced)
        self._step("kept")
        self._place.clean()
        self._step("cleaned")


def _checked(heading: str, text: str, by: Change) -> str:
    check_text(text, what="the note", max_bytes=MAX_NOTE_BYTES)
    check_text(heading, what="the heading", max_bytes=MAX_HEADING_BYTES)
    check_text(by.why, what="the reason", max_bytes=MAX_WHY_BYTES)
    if has_open_fence(text):
        raise ActionRefused(
            "a ``` block of the note is not closed",
            operation="write memory",
            hint="close it: it would swallow the rest",
        )
    return heading_name(heading)


def _check_size(before: bytes, after: bytes, change: Change) -> None:
    if len(after) > max(MAX_MEMORY_BYTES, len(before)):
        raise ActionRefused(
            f"the memory file would have {len(after)} bytes, {MAX_MEMORY_BYTES} are allowed",
            operation=f"memory_{change.action}",
            hint="condense old notes with memory_replace first",
        )
