"""Answers that a run in the terminal gives by itself: from a file, or the askers' defaults."""

from __future__ import annotations

from collections.abc import Sequence

from app.cli.output import plain_line, tell
from app.config.answers import PreparedAnswers
from app.control import Control
from app.domain.board import Board
from app.domain.errors import ActionRefused, AlreadyAnswered, NotFound
from app.domain.interrupt import Answer, Interrupt, default_answer


class Answering:
    """``prepared`` goes before ``default``; what neither answers waits for the user."""

    def __init__(self, control: Control, prepared: PreparedAnswers | None, *, default: bool) -> None:
        self._control = control
        self._prepared = prepared
        self._default = default
        self._unfit: set[str] = set()

    def answers(self, asked: Sequence[Interrupt]) -> bool:
        """Whether none of these will wait for the user."""
        return all(self._answer(item) is not None for item in asked)

    async def answer(self, board: Board, asked: Sequence[Interrupt]) -> None:
        """Answer what can be answered; an answer of the file that does not fit is told, once."""
        for item in asked:
            answer = self._answer(item)
            if answer is None:
                continue
            try:
                await self._control.answer(board.fleet, item.id, answer)
            except (AlreadyAnswered, NotFound):
                continue  # answered elsewhere or by us, or withdrawn, a moment ago: the fact is on its way
            except ActionRefused as error:
                self._unfit.add(item.id)
                tell(f"the answer to {item.id} does not fit: {plain_line(str(error), 400)}", "yellow")

    def _answer(self, item: Interrupt) -> Answer | None:
        if item.id in self._unfit:
            return None
        found = self._prepared.find(item) if self._prepared is not None else None
        if found is None and self._default:
            return default_answer(item)
        return found
