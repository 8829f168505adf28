"""The strip that calls the user: who needs them, for what, and the way there."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from app.domain.board import Board
from app.domain.events import AgentStatus
from app.domain.text import first_line, printable
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button
from app.ui.widgets.labels import ElidedLabel, label, style_label
from app.ui.wording import call_words, wants_answer


@dataclass(frozen=True, slots=True)
class Call:
    """What the strip says. ``interrupt`` or ``agent`` is where Go there leads."""

    words: str
    more: int
    interrupt: str = ""
    agent: str = ""
    failed: bool = False


def call_of(board: Board) -> Call | None:
    """The most urgent reason to call the user: a question that blocks, then an agent that failed."""
    waiting = [item for item in board.open_interrupts if wants_answer(item)]
    failed = [view for view in board.agents.values() if view.state is AgentStatus.FAILED]
    more = len(waiting) + len(failed) - 1
    if waiting:
        return Call(call_words(waiting[0]), more, interrupt=waiting[0].id)
    if failed:
        reason = first_line(failed[0].reason, 300) or "no reason was given"
        return Call(f"{failed[0].id} failed: {reason}", more, agent=failed[0].id, failed=True)
    return None


class AttentionStrip(QWidget):
    """Hidden as long as nobody needs the user."""

    interrupt_wanted = Signal(str)
    agent_wanted = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("attention")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(5 * SPACE)
        self._theme = theme
        self._call: Call | None = None
        self._quiet = False
        self._sign = QLabel()
        self._words = ElidedLabel()
        self._more = label()
        self._go = button("Go there", "attention-go", kind="attention", tip="Ctrl+J")
        self._go.setShortcut(QKeySequence("Ctrl+J"))
        self._words.setObjectName("attention-words")
        style_label(self._words, bold=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * SPACE, 0, 2 * SPACE, 0)
        row.setSpacing(SPACE)
        row.addWidget(self._sign)
        row.addWidget(self._words, 1)
        row.addWidget(self._more)
        row.addWidget(self._go)
        self._go.clicked.connect(self._lead)
        theme.changed.connect(self._show)
        self.hide()

    def show_board(self, board: Board) -> None:
        """Call, or be silent."""
        call = call_of(board)
        if call != self._call:
            self._call = call
            self._show()

    def be_quiet_about_interrupts(self, quiet: bool) -> None:
        """Where the interrupts are in sight already, the strip need not point at them."""
        self._quiet = quiet
        self._show()

    def _show(self) -> None:
        call = self._call
        self.setVisible(call is not None and not (self._quiet and call.interrupt))
        if call is None:
            return
        self.setProperty("failed", call.failed)
        for part in (self, self._words, self._more, self._go):
            part.style().unpolish(part)
            part.style().polish(part)
        self._words.setText(call.words)
        self.setAccessibleName(printable(call.words))
        self._more.setText(f"and {call.more} more" if call.more else "")
        tone = self._theme.tokens.red if call.failed else self._theme.tokens.amber
        self._sign.setPixmap(self._theme.picture("hand", QColor(tone.ink), 18, self.devicePixelRatioF()))

    def _lead(self) -> None:
        if self._call is not None and self._call.interrupt:
            self.interrupt_wanted.emit(self._call.interrupt)
        elif self._call is not None:
            self.agent_wanted.emit(self._call.agent)
