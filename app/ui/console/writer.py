"""Writes pieces at the end of a text document: gaps between entries, looks, carriage returns, folded lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from PySide6.QtGui import QTextCursor, QTextDocument

from app.ui.console.ansi import Run
from app.ui.console.entries import Entry, Piece, Role
from app.ui.console.ledger import Ledger
from app.ui.console.look import Look

_MAX_LINES = 100
_MAX_CHARS = 4_000
_MAX_LINE_CHARS = 800
"""Longer lines are broken: laying one out takes time that grows with the square of its length."""


class Writer:
    """Holds the place where the next piece goes."""

    def __init__(self, document: QTextDocument, ledger: Ledger, look: Look) -> None:
        self._document = document
        self._ledger = ledger
        self._look = look
        self._last: Entry | None = None
        self._owes_newline = False

    def write(self, pieces: Iterator[Piece], until: Iterable[bool]) -> bool:
        """Write pieces as long as ``until`` yields False; whether ``pieces`` is used up."""
        cursor = QTextCursor(self._document)
        cursor.beginEditBlock()
        try:
            for late in until:
                if late:
                    return False
                piece = next(pieces, None)
                if piece is None:
                    return True
                self._write(cursor, piece)
            return False
        finally:
            cursor.endEditBlock()

    def _write(self, cursor: QTextCursor, piece: Piece) -> None:
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if piece.entry is not self._last:
            self._gap(cursor, piece.entry)
        if piece.fresh or self._owes_newline:
            self._new_line(cursor, piece)
        elif piece.role is Role.ASIDE:
            cursor.insertText("   ", self._look.format(piece.entry, piece.role))
        self._owes_newline = False
        for run in piece.runs:
            self._insert(cursor, piece, run)
        self._last = piece.entry

    def _insert(self, cursor: QTextCursor, piece: Piece, run: Run) -> None:
        text = run.text
        if self._owes_newline:
            self._new_line(cursor, piece)
            self._owes_newline = False
        if text.startswith("\r"):
            cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock, QTextCursor.MoveMode.KeepAnchor)
            cursor.removeSelectedText()
            text = text[1:]
        if text.endswith("\n"):
            # The next line is begun when there is something to write in it.
            text, self._owes_newline = text[:-1], True
        look = self._look.format(piece.entry, piece.role, run.sgr)
        for number, line in enumerate(text.split("\n")):
            if number:
                self._new_line(cursor, piece)
            cursor.insertText(line, look)

    def _new_line(self, cursor: QTextCursor, piece: Piece) -> None:
        cursor.insertBlock()
        # An empty line has the height of its own format.
        cursor.setBlockCharFormat(self._look.format(piece.entry, piece.role))
        block = cursor.block()
        self._ledger.mark(block, piece.entry, piece.role)
        block.setVisible(not (piece.role is Role.BODY and piece.entry.folded))

    def _gap(self, cursor: QTextCursor, entry: Entry) -> None:
        if self._last is not None:
            cursor.insertBlock()
            cursor.block().setVisible(True)
        look = self._look.gap(entry, self._last)
        cursor.setBlockCharFormat(look)
        cursor.insertText(" ", look)
        self._ledger.mark(cursor.block(), entry, None)
        self._owes_newline = True


def in_small_parts(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same text in pieces that can each be written within a frame."""
    for piece in pieces:
        if len(piece.text) <= _MAX_LINE_CHARS:
            yield piece
            continue
        fresh = piece.fresh
        for run in piece.runs:
            for part in _parts(run.text):
                yield Piece(piece.entry, piece.role, (Run(part, run.sgr),), fresh)
                fresh = False


def _parts(text: str) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for line in text.splitlines(keepends=True):
        for start in range(0, len(line), _MAX_LINE_CHARS):
            chunk = line[start : start + _MAX_LINE_CHARS]
            held.append(chunk if start + _MAX_LINE_CHARS >= len(line) else chunk + "\n")
            size += len(chunk)
            if len(held) >= _MAX_LINES or size >= _MAX_CHARS:
                yield "".join(held)
                held, size = [], 0
    if held:
        yield "".join(held)
