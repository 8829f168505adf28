"""One agent's memory file: plain Markdown that a person may edit too, every revision kept."""

from __future__ import annotations

import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sqlite_utils import Database

from app.domain.errors import ActionRefused
from app.domain.text import check_text

MAX_MEMORY_BYTES = 1_048_576
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$")


class MemoryFile:
    """Reads and writes ``path``. Writes are atomic: the file is the old one or the new one, never between."""

    def __init__(self, path: Path, database: Database, *, fleet: str, agent: str) -> None:
        self._path = path
        self._db = database
        self._key = (fleet, agent)

    def read(self) -> str:
        """The whole file; empty when there is none. Bytes that are not UTF-8 come as U+FFFD."""
        try:
            return self._path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def append(self, heading: str, text: str) -> int:
        """Add ``text`` at the end of ``heading`` (made when missing); returns the revision."""
        return self._change("append", heading, text)

    def replace(self, heading: str, text: str) -> int:
        """Replace what stands under ``heading``; empty text removes the section; returns the revision."""
        return self._change("replace", heading, text)

    def search(self, query: str, limit: int = 10) -> list[tuple[str, str]]:
        """(heading, line) of lines that hold every word of ``query``, ignoring case."""
        words = query.casefold().split()
        found: list[tuple[str, str]] = []
        heading = ""
        for line in self.read().splitlines():
            match = _HEADING.match(line)
            heading = match.group(1) if match else heading
            if line.strip() and all(word in line.casefold() for word in words):
                found.append((heading, line.strip()))
        return found[:limit]

    def _change(self, action: Literal["append", "replace"], heading: str, text: str) -> int:
        check_text(text, what="the note", max_bytes=MAX_MEMORY_BYTES)
        check_text(heading, what="the heading", max_bytes=200)
        name = heading.strip().lstrip("#").strip()
        if not name or "\n" in name:
            raise ActionRefused("a heading is one line of text", operation=f"memory_{action}")
        before = self.read()
        self._keep_foreign_edit(before)
        after = _edit(before, name, text.strip("\n"), keep=action == "append")
        if len(after.encode()) > MAX_MEMORY_BYTES:
            raise ActionRefused(
                f"the memory file would exceed {MAX_MEMORY_BYTES} bytes",
                operation=f"memory_{action}",
                hint="condense old notes with memory_replace first",
            )
        self._write(after)
        return self._keep(after, author="agent", action=action)

    def _keep_foreign_edit(self, content: str) -> None:
        """A person changed the file since our last revision: theirs becomes a revision of its own."""
        if content and content != self._newest()[1]:
            self._keep(content, author="user", action="edit")

    def _newest(self) -> tuple[int, str]:
        query = (
            "SELECT revision, content FROM memory_revisions WHERE fleet=? AND agent=? ORDER BY revision DESC LIMIT 1"
        )
        row = self._db.conn.execute(query, self._key).fetchone()
        return (row[0], row[1]) if row else (0, "")

    def _keep(self, content: str, *, author: str, action: str) -> int:
        revision = self._newest()[0] + 1
        row = (*self._key, revision, datetime.now(UTC).isoformat(), author, action, content)
        self._db.conn.execute("INSERT INTO memory_revisions VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return revision

    def _write(self, content: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _edit(content: str, heading: str, text: str, *, keep: bool) -> str:
    """``content`` with ``text`` under ``heading``: after what stands there (``keep``), or instead of it."""
    lines = content.splitlines()
    start = next((i for i, line in enumerate(lines) if (m := _HEADING.match(line)) and m.group(1) == heading), None)
    if start is None:
        section = [f"## {heading}", "", text] if text else []
        return _join([*lines, "", *section] if lines else section)
    end = next((i for i in range(start + 1, len(lines)) if _HEADING.match(lines[i])), len(lines))
    body = "\n".join(lines[start + 1 : end]).strip("\n") if keep else ""
    new = "\n".join(part for part in (body, text) if part)
    section = [lines[start], "", new, ""] if new else []
    return _join([*lines[:start], *section, *lines[end:]])


def _join(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n") + "\n"
