"""One message of a conversation: who to whom, when, how far it came, and its text whole."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from app.domain.board import MessageView
from app.domain.text import printable
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.chips import Chip
from app.ui.widgets.labels import ElidedLabel, label, selectable
from app.ui.wording import FAILED, manner, person, time_of_day


class ThreadEntry(QFrame):
    """``picked`` carries the id of the message when the user turns to it."""

    picked = Signal(str)

    def __init__(self, theme: Theme, view: MessageView, *, chosen: bool) -> None:
        super().__init__()
        # The frame that interrupts put around a quoted message marks the chosen one.
        self.setObjectName("held-message" if chosen else "thread-entry")
        self.view = view
        self._theme = theme
        self._chosen = chosen
        self._chip = Chip()
        self._route = ElidedLabel()
        self._text = selectable(label(printable(view.envelope.body), wrap=True))
        self._text.setObjectName("reader" if chosen else "thread-text")
        self._text.setAccessibleName("Message" if chosen else "Message of the same conversation")
        self._reason = selectable(label(tone="danger", scale=0.9, wrap=True))
        self._reason.setObjectName("message-reason")
        self._lay_out()
        self.refresh()

    def refresh(self) -> None:
        """Bring state and reason up to date; what the user has marked in the text stays marked."""
        envelope = self.view.envelope
        route = f"{person(envelope.sender)} → {person(envelope.recipient)}"
        self._route.setText(f"{time_of_day(envelope.sent_at)} · {route} · {manner(envelope)}")
        self._chip.show_state(self.view.state.value, self._theme.tokens.message(self.view.state))
        failed = self.view.state in FAILED
        self._reason.setText(printable(f"{self.view.state.value}: {self.view.reason or 'without a reason'}"))
        self._reason.setVisible(failed)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click turns to this message."""
        super().mousePressEvent(event)
        if not self._chosen and event.button() is Qt.MouseButton.LeftButton:
            self.picked.emit(self.view.envelope.id)

    def _lay_out(self) -> None:
        self._route.setProperty("tone", "muted")
        if not self._chosen:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        top = QHBoxLayout()
        top.setSpacing(SPACE)
        top.addWidget(self._route, 1)
        top.addWidget(self._chip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(int(1.5 * SPACE), SPACE, int(1.5 * SPACE), int(1.5 * SPACE))
        layout.setSpacing(SPACE // 2)
        layout.addLayout(top)
        layout.addWidget(self._text)
        layout.addWidget(self._reason)
