"""The board of a fleet, for who only looks."""

from __future__ import annotations

from app.config import Paths
from app.domain.board import Board
from app.store.journal import JournalReader


def read_board(paths: Paths, fleet: str, run: str = "") -> Board:
    """The board of a fleet's newest run, or of ``run``, folded from the journal; no engine is needed."""
    board, reader, after = Board(fleet), JournalReader(paths.journal_db), 0
    try:
        while batch := reader.read(after):
            after = batch[-1][0]
            board.apply_all(event for _, event in batch if run in ("", event.run))
    finally:
        reader.close()
    return board
