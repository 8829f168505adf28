"""The header over all pages: which project runs, since when, how its agents stand, and Run or Stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.config import Project
from app.domain.board import Board
from app.domain.events import AgentStatus
from app.domain.text import printable
from app.ui.fleet_actions import FleetActions, Link
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button, give_icon, menu_button
from app.ui.widgets.chips import Chip
from app.ui.widgets.labels import ElidedLabel, style_label
from app.ui.wording import clock, plural

_ORDER = (
    AgentStatus.FAILED, AgentStatus.WAITING, AgentStatus.RUNNING, AgentStatus.STARTING, AgentStatus.IDLE,
    AgentStatus.PAUSED, AgentStatus.COMPLETED, AgentStatus.STOPPED,
)  # fmt: skip
_NAME_WIDTH = 20 * SPACE
_OUTCOMES = {"completed": "Completed", "stopped": "Stopped", "failed": "Failed"}


class FleetHeader(QWidget):
    """Shows one fleet; ``show_board`` and ``tick`` keep it true."""

    def __init__(self, theme: Theme, project: Project, actions: FleetActions, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("fleet-header")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(8 * SPACE)
        self._theme = theme
        self._project = project
        self._actions = actions
        self._now = now
        self._board = Board(project.fleet_id)
        self._ended_at: datetime | None = None
        self._states: Counter[AgentStatus] = Counter()
        self._name = ElidedLabel()
        self._line = ElidedLabel()
        self._rehearsal = Chip(dot=False)
        self._chips = [Chip() for _ in _ORDER]
        self.run = button("Run", "fleet-run", kind="primary")
        self.stop = button("Stop", "fleet-stop")
        self.team = menu_button("Team", "fleet-orders", theme, key="Alt+T", tip="Orders for all agents")
        self._lay_out()
        self.run.clicked.connect(actions.run)
        self.stop.clicked.connect(actions.stop)
        actions.link_changed.connect(self.refresh)
        theme.changed.connect(self.refresh)
        self.refresh()

    def show_board(self, board: Board, ended_at: datetime | None) -> None:
        """Take over what the board says."""
        self._board, self._ended_at = board, ended_at
        self.refresh()

    def tick(self) -> None:
        """Bring the running time up to date."""
        self._line.setText(self._line_words())

    def refresh(self) -> None:
        """Show the board, and what can be done now."""
        self._name.setText(self._project.name)
        self.tick()
        board = self._board
        self._rehearsal.show_state("Rehearsal", self._theme.tokens.violet)
        self._rehearsal.setToolTip(f"A scripted model stands in: {printable(board.rehearsal)}")
        states = Counter(view.state for view in board.agents.values())
        for state, chip in zip(_ORDER, self._chips, strict=True):
            chip.show_state(f"{states[state]} {state.value}", self._theme.tokens.agent(state))
        self._states = states
        self._show_buttons(board)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Chips give way where there is no room for them."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Show the most urgent states that there is room for; all of them are in the tool tip."""
        buttons = (self.team, self.run, self.stop)
        taken = sum(made.sizeHint().width() + SPACE for made in buttons if not made.isHidden())
        room = self.width() - taken - _NAME_WIDTH
        for state, chip in zip(_ORDER, self._chips, strict=True):
            room -= chip.sizeHint().width() + SPACE if self._states[state] else 0
            chip.setVisible(self._states[state] > 0 and room >= 0)
        self._rehearsal.setVisible(bool(self._board.rehearsal) and room >= self._rehearsal.sizeHint().width() + SPACE)
        words = ", ".join(f"{self._states[state]} {state.value}" for state in _ORDER if self._states[state])
        self._line.setToolTip(words)

    def _show_buttons(self, board: Board) -> None:
        running = bool(board.run) and not board.outcome
        actions = self._actions
        self.team.setVisible(bool(board.run))
        self.run.setVisible(not running)
        self.stop.setVisible(running)
        self.run.setEnabled(actions.ready and not actions.starting)
        self.stop.setEnabled(actions.ready and not actions.stopping)
        self.run.setText("Starting…" if actions.starting else "Rehearse" if actions.rehearse is not None else "Run")
        self.stop.setText("Stopping…" if actions.stopping else "Stop")
        wait = "Waiting for the engine" if actions.link is Link.CONNECTING else "The engine is not running"
        what = "Start the agents; a scripted model stands in" if actions.rehearse is not None else "Start the agents"
        self.run.setToolTip(what if actions.ready else wait)
        self.stop.setToolTip("Stop all agents; their disks, notes and messages stay" if actions.ready else wait)

    def _line_words(self) -> str:
        board = self._board
        if not board.run or board.started_at is None:
            return f"{plural(len(self._project.fleet.agents), 'agent')} declared · not started"
        end = self._ended_at or self._now()
        time = clock((end - board.started_at).total_seconds())
        return f"{_OUTCOMES[board.outcome]} after {time}" if board.outcome else f"Running for {time}"

    def _lay_out(self) -> None:
        style_label(self._name, scale=1.2, bold=True)
        self._name.setObjectName("fleet-name")
        style_label(self._line, scale=0.92, tone="muted")
        self._line.setObjectName("fleet-line")
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addStretch(1)
        words.addWidget(self._name)
        words.addWidget(self._line)
        words.addStretch(1)
        give_icon(self.run, self._theme, "play", "on_accent", 14)
        give_icon(self.stop, self._theme, "stop", "muted", 14)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * SPACE, 0, 2 * SPACE, 0)
        row.setSpacing(SPACE)
        row.addLayout(words, 1)
        for chip in (self._rehearsal, *self._chips):
            row.addWidget(chip, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addSpacing(SPACE)
        row.addWidget(self.team)
        row.addWidget(self.run)
        row.addWidget(self.stop)
