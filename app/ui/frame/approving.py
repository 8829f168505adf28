"""A line that stands as long as everything is approved without asking, with the button that ends that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.domain.blanket import in_time
from app.domain.board import Board
from app.ui.fleet_actions import FleetActions
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button
from app.ui.widgets.labels import ElidedLabel, style_label
from app.ui.wording import clock


class ApprovingStrip(QWidget):
    """Hidden as long as approvals wait for the user."""

    def __init__(self, actions: FleetActions, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("approving")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(5 * SPACE)
        self._actions = actions
        self._now = now
        self._until: dict[str, datetime] = {}
        self._words = ElidedLabel()
        self._words.setObjectName("approving-words")
        style_label(self._words, bold=True)
        self._end = button(
            "Ask me again", "approving-end", kind="attention", tip="Questions and budgets wait for you all the while"
        )
        self._end.clicked.connect(self._ask_again)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * SPACE, 0, 2 * SPACE, 0)
        row.addWidget(self._words, 1)
        row.addWidget(self._end)
        ticker = QTimer(self)
        ticker.timeout.connect(self.refresh)
        ticker.start(1000)
        self.hide()

    def show_board(self, board: Board) -> None:
        """What holds by the record."""
        self._until = {} if board.outcome else dict(board.blankets)
        self.refresh()

    def refresh(self) -> None:
        """Count down."""
        held = in_time(self._until, self._now())
        self.setVisible(bool(held))
        parts = [
            f"{agent or 'the team'}, for another {clock((until - self._now()).total_seconds())}"
            for agent, until in held.items()
        ]
        self._words.setText(f"Everything is approved for {'; '.join(parts)}" if held else "")
        self._end.setEnabled(self._actions.ready)

    def _ask_again(self) -> None:
        for agent in in_time(self._until, self._now()):
            self._actions.end_approve_all(agent)
