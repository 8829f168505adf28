"""One message whole: the envelope, the body as it was written, and how far it came."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from app.domain.board import MessageView
from app.domain.text import printable
from app.ui.theme import Theme
from app.ui.typography import SPACE, base_font, mono_font
from app.ui.widgets.chips import Chip
from app.ui.widgets.labels import label, selectable
from app.ui.wording import date_and_time, person, size, time_of_day


class MessageDetail(QWidget):
    """Shows the message it was told to show."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("content")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._shown: MessageView | None = None
        self._subject = selectable(label(scale=1.2, bold=True, wrap=True))
        self._subject.setObjectName("message-subject")
        self._route = label(tone="muted")
        self._chip = Chip()
        self._body = QPlainTextEdit()
        self._body.setObjectName("reader")
        self._body.setAccessibleName("Message")
        self._body.setReadOnly(True)
        self._body.setFrameShape(QFrame.Shape.NoFrame)
        self._body.setFont(base_font())
        self._body.document().setDocumentMargin(0)
        self._facts = QGridLayout()
        self._lay_out()
        theme.changed.connect(self.refresh)

    def show_message(self, view: MessageView | None) -> None:
        """Show a message, or nothing."""
        same = view is not None and self._shown is view and self._body.toPlainText() != ""
        self._shown = view
        if view is None:
            return
        if not same:
            self._subject.setText(printable(view.envelope.subject) or "Without a subject")
            self._body.setPlainText(printable(view.envelope.body))
        self.refresh()

    def refresh(self) -> None:
        """Bring state and history up to date; what the user has marked in the body stays marked."""
        view = self._shown
        if view is None:
            return
        envelope = view.envelope
        self._route.setText(
            f"{person(envelope.sender)} → {person(envelope.recipient)} · {date_and_time(envelope.sent_at)}"
        )
        self._chip.show_state(view.state.value, self._theme.tokens.message(view.state))
        self._fill_facts(view)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(SPACE)
        top.addWidget(self._chip)
        top.addWidget(self._route, 1)
        self._facts.setHorizontalSpacing(2 * SPACE)
        self._facts.setVerticalSpacing(SPACE // 2)
        self._facts.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * SPACE, 2 * SPACE, 3 * SPACE, 2 * SPACE)
        layout.setSpacing(SPACE)
        layout.addWidget(self._subject)
        layout.addLayout(top)
        layout.addSpacing(SPACE)
        layout.addWidget(self._body, 1)
        layout.addWidget(_rule())
        layout.addLayout(self._facts)

    def _fill_facts(self, view: MessageView) -> None:
        while self._facts.count():
            item = self._facts.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.deleteLater()
        for row, (name, value) in enumerate(_facts(view)):
            self._facts.addWidget(label(name, tone="faint", scale=0.9), row, 0, Qt.AlignmentFlag.AlignTop)
            self._facts.addWidget(_value(name, value), row, 1)


def _facts(view: MessageView) -> list[tuple[str, str]]:
    envelope = view.envelope
    steps = [
        f"{state.value} {time_of_day(at)}" + (f" ({reason})" if reason else "") for state, at, reason in view.history
    ]
    facts = [("History", "  →  ".join(steps)), ("Kind", f"{envelope.kind}, {envelope.mode}"), ("Id", envelope.id)]
    if envelope.reply_to:
        facts.append(("Reply to", envelope.reply_to))
    if envelope.correlation_id not in ("", envelope.id):
        facts.append(("Thread", envelope.correlation_id))
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
