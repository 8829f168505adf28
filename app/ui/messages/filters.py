"""What the log shows: messages of an agent, of a mode, of some states, with some words."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QWidget

from app.domain.envelope import USER, MessageState
from app.ui.messages.model import MessageFilter
from app.ui.typography import SPACE
from app.ui.wording import FAILED, WAITING

_EVERYONE = "All agents"


class Filters(QWidget):
    """``changed`` says that other messages are wanted."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._who = _choice("messages-agent", "Show messages of", 18)
        self._mode = _choice("messages-mode", "Show messages of the mode", 12)
        self._state = _choice("messages-state", "Show messages in the state", 15)
        self.words = QLineEdit()
        self._lay_out()
        for box in (self._who, self._mode, self._state):
            box.currentIndexChanged.connect(self.changed)
        self.words.textChanged.connect(self.changed)

    def apply(self, target: MessageFilter) -> None:
        """Make ``target`` show what is wanted."""
        states = self._state.currentData() or ()
        target.filter_by(
            self._who.currentData() or "",
            self.words.text(),
            self._mode.currentData() or "",
            frozenset(MessageState(item) for item in states),
        )

    def offer(self, names: list[str]) -> None:
        """Offer these agents; the one that is chosen stays while it is among them."""
        if names == [self._who.itemData(row) for row in range(1, self._who.count())]:
            return
        chosen = self._who.currentData()
        self._who.blockSignals(True)
        self._who.clear()
        self._who.addItem(_EVERYONE, "")
        for name in names:
            self._who.addItem("You" if name == USER else name, name)
        self._who.setCurrentIndex(max(0, self._who.findData(chosen)))
        self._who.blockSignals(False)

    def _lay_out(self) -> None:
        self._who.addItem(_EVERYONE, "")
        for words, mode in (("All modes", ""), ("async", "async"), ("sync", "sync")):
            self._mode.addItem(words, mode)
        self._state.addItem("All states", [])
        self._state.addItem("Waiting", sorted(state.value for state in WAITING))
        self._state.addItem("Refused, expired", sorted(state.value for state in FAILED))
        for state in MessageState:
            self._state.addItem(state.value, [state.value])
        self.words.setObjectName("messages-filter")
        self.words.setPlaceholderText("Find")
        self.words.setAccessibleName("Find in messages")
        self.words.setClearButtonEnabled(True)
        self.words.setMaximumWidth(45 * SPACE)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACE)
        for box in (self._who, self._mode, self._state):
            row.addWidget(box)
        row.addWidget(self.words, 1)
        row.addStretch(0)


def _choice(name: str, words: str, width: int) -> QComboBox:
    made = QComboBox()
    made.setObjectName(name)
    made.setAccessibleName(words)
    made.setMinimumWidth(width * SPACE)
    return made
