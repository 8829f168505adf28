"""The chosen message in its conversation: every text whole, the chosen one's envelope, and how far it came."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from app.domain.board import MessageView
from app.domain.envelope import USER, MessageState
from app.domain.interrupt import Interrupt
from app.domain.text import printable
from app.ui.fleet_actions import FleetActions
from app.ui.messages.decision import Decision
from app.ui.messages.thread import ThreadEntry
from app.ui.theme import Theme
from app.ui.typography import SPACE, mono_font
from app.ui.widgets.buttons import button
from app.ui.widgets.labels import label, selectable
from app.ui.wording import date_and_time, manner, person, plural, size, time_of_day

MAX_ENTRIES = 40
"""Of a longer conversation the chosen message and those around it are shown."""
_SETTLE_MS = 30
_UNREAD = (MessageState.ACCEPTED, MessageState.DELIVERED)


class MessageDetail(QWidget):
    """``seen`` carries the ids of unread messages to the user that stood whole before them."""

    seen = Signal(list)
    picked = Signal(str)
    reply_wanted = Signal()

    def __init__(self, theme: Theme, actions: FleetActions) -> None:
        super().__init__()
        self.setObjectName("content")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._shown: MessageView | None = None
        self._entries: list[ThreadEntry] = []
        self._scroll_due = False
        self._subject = selectable(label(scale=1.2, bold=True, wrap=True))
        self._subject.setObjectName("message-subject")
        self._caption = label(tone="muted", wrap=True)
        self._caption.setObjectName("thread-caption")
        self._reply = button("Reply", "message-reply", tip="Answer this message (Ctrl+R)")
        self._decision = Decision(actions)
        self._thread = QVBoxLayout()
        self._facts = QGridLayout()
        self._area = QScrollArea()
        self._content = QWidget()
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._lay_out()
        self._reply.clicked.connect(self.reply_wanted)
        self._settle.timeout.connect(self._look)
        self._area.verticalScrollBar().valueChanged.connect(lambda _value: self._settle.start())
        self._area.verticalScrollBar().rangeChanged.connect(lambda _low, _high: self._settle.start())
        theme.changed.connect(self.refresh)

    @property
    def can_reply(self) -> bool:
        """Whether the chosen message is one the user can answer with a text."""
        envelope = self._shown.envelope if self._shown is not None else None
        return envelope is not None and envelope.recipient == USER and envelope.kind != "confirm"

    def show_message(
        self, view: MessageView | None, thread: Sequence[MessageView] = (), interrupt: Interrupt | None = None
    ) -> None:
        """Show a message within its thread, and the open interrupt that is about it; or nothing."""
        before, self._shown = self._shown, view
        if view is None:
            return
        around = _around(view, thread or [view])
        if before is not view or [entry.view for entry in self._entries] != around:
            self._subject.setText(printable(view.envelope.subject) or "Without a subject")
            self._fill_thread(view, around)
        self._caption.setText(_caption(len(thread) or 1, len(around)))
        self._caption.setVisible(len(thread) > 1)
        self._decision.show_interrupt(interrupt)
        self.refresh()

    def refresh(self) -> None:
        """Bring states and history up to date."""
        if self._shown is None:
            return
        for entry in self._entries:
            entry.refresh()
        self._reply.setVisible(self.can_reply)
        self._fill_facts(self._shown)
        self._settle.start()

    def showEvent(self, event: QShowEvent) -> None:
        """What is before the user now counts as seen."""
        super().showEvent(event)
        self._settle.start()

    def _look(self) -> None:
        """Tell which unread messages to the user stand before them: those whose end is in view."""
        if not self.isVisible():
            return
        content, port = self._content, self._area.viewport()
        places = content.layout()
        crowded = any(not e.isVisible() or e.height() < e.heightForWidth(e.width()) for e in self._entries)
        if crowded or (places is not None and content.height() < places.totalHeightForWidth(content.width())):
            # Not all have their places yet: what seems to be in view now may be pushed out of it.
            self._settle.start()
            return
        if self._scroll_due:
            self._scroll_due = False
            self._show_chosen()
        found = [entry.view for entry in self._entries if entry.isVisible() and _end_in_view(entry, port)]
        unread = [v.envelope.id for v in found if v.envelope.recipient == USER and v.state in _UNREAD]
        if unread:
            self.seen.emit(unread)

    def _fill_thread(self, chosen: MessageView, views: Sequence[MessageView]) -> None:
        for old in self._entries:
            old.hide()
            self._thread.removeWidget(old)
            old.deleteLater()
        self._entries = [ThreadEntry(self._theme, view, chosen=view is chosen) for view in views]
        for entry in self._entries:
            entry.picked.connect(self.picked)
            self._thread.addWidget(entry)
            entry.show()
        self._scroll_due = True
        self._settle.start()

    def _show_chosen(self) -> None:
        """The chosen message's head is in view, once the places of all are known."""
        for entry in self._entries:
            if entry.view is self._shown and self._entries[0] is not entry:
                self._area.verticalScrollBar().setValue(entry.mapTo(self._content, QPoint(0, 0)).y() - SPACE)
                return
        self._area.verticalScrollBar().setValue(0)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(SPACE)
        top.addWidget(self._subject, 1)
        top.addWidget(self._reply, 0, Qt.AlignmentFlag.AlignTop)
        self._thread.setSpacing(SPACE)
        self._facts.setHorizontalSpacing(2 * SPACE)
        self._facts.setVerticalSpacing(SPACE // 2)
        self._facts.setColumnStretch(1, 1)
        self._content.setObjectName("content")
        inner = QVBoxLayout(self._content)
        inner.setContentsMargins(2 * SPACE, int(1.5 * SPACE), 2 * SPACE, 2 * SPACE)
        inner.setSpacing(SPACE)
        inner.addLayout(top)
        inner.addWidget(self._caption)
        inner.addWidget(self._decision)
        inner.addLayout(self._thread)
        inner.addWidget(_rule())
        inner.addLayout(self._facts)
        inner.addStretch(1)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(self._content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._area)

    def _fill_facts(self, view: MessageView) -> None:
        while self._facts.count():
            item = self._facts.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for row, (name, value) in enumerate(_facts(view)):
            self._facts.addWidget(label(name, tone="faint", scale=0.9), row, 0, Qt.AlignmentFlag.AlignTop)
            self._facts.addWidget(_value(name, value), row, 1)


def _around(chosen: MessageView, thread: Sequence[MessageView]) -> list[MessageView]:
    place = next((row for row, view in enumerate(thread) if view is chosen), 0)
    first = max(0, min(place - MAX_ENTRIES // 2, len(thread) - MAX_ENTRIES))
    return list(thread[first : first + MAX_ENTRIES])


def _caption(whole: int, shown: int) -> str:
    words = f"Conversation of {plural(whole, 'message')}, oldest first"
    return words if whole == shown else f"{words}; {shown} around the chosen one are shown"


def _end_in_view(entry: QWidget, port: QWidget) -> bool:
    end = entry.mapTo(port, QPoint(0, entry.height() - 1)).y()
    return 0 <= end <= port.height()


def _facts(view: MessageView) -> list[tuple[str, str]]:
    envelope = view.envelope
    steps = [
        f"{state.value} {time_of_day(at)}" + (f" ({reason})" if reason else "") for state, at, reason in view.history
    ]
    facts = [
        ("History", "  →  ".join(steps)),
        ("Sent", f"{date_and_time(envelope.sent_at)}, {person(envelope.sender)} → {person(envelope.recipient)}"),
        ("Kind", manner(envelope) if envelope.kind != "message" else f"{envelope.mode} message"),
        ("Id", envelope.id),
    ]
    if envelope.reply_to:
        facts.append(("Reply to", envelope.reply_to))
    if envelope.correlation_id not in ("", envelope.id):
        facts.append(("Thread", envelope.correlation_id))
    if envelope.expires_at is not None:
        facts.append(("Expires", date_and_time(envelope.expires_at)))
    facts += [("Attachment", f"{item.name}, {size(item.size)}") for item in envelope.attachments]
    return [(name, printable(value)) for name, value in facts]


def _rule() -> QWidget:
    rule = QFrame()
    rule.setObjectName("rule")
    rule.setFixedHeight(1)
    return rule


def _value(name: str, value: str) -> QLabel:
    made = selectable(label(value, tone="muted", scale=0.9, wrap=True))
    if name in ("Id", "Reply to", "Thread"):
        made.setFont(mono_font(0.85))
    if name == "History":
        made.setObjectName("message-history")
    return made
