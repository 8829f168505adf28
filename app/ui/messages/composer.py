"""Write to an agent as the user, in place; what went wrong stands beside the text, and the text stays."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from app.control.letters import Letter
from app.domain.board import Board, MessageView
from app.domain.errors import SkerryError
from app.domain.text import first_line
from app.ui.fleet_actions import FleetActions
from app.ui.messages.wait_choice import Awaited, WaitChoice
from app.ui.theme import Theme
from app.ui.typography import SPACE, base_font
from app.ui.widgets.buttons import button
from app.ui.widgets.labels import ElidedLabel, label, style_label


class Composer(QWidget):
    """``sent`` carries the id of the message; ``closed`` says that the user does not want to write now."""

    sent = Signal(str)
    closed = Signal()

    def __init__(self, theme: Theme, actions: FleetActions) -> None:
        super().__init__()
        self.setObjectName("panel-top")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._actions = actions
        self._sending = False
        self._answers = ""
        self._target = ElidedLabel()
        self._to = label("To", tone="muted")
        self._recipient = QComboBox()
        self._subject = QLineEdit()
        self._body = QPlainTextEdit()
        self._wait = WaitChoice()
        self._awaited = Awaited(self)
        self._note = ElidedLabel()
        self._send = button("Send", "composer-send", kind="primary", tip="Ctrl+Enter")
        self._cancel = button("Close", "composer-close", kind="quiet", tip="Esc; the text stays")
        self._lay_out()
        self._send.clicked.connect(self.send)
        self._cancel.clicked.connect(self.closed)
        self._body.textChanged.connect(self._refresh)
        self._awaited.news.connect(lambda words, wrong: self._say(words, wrong=wrong))
        actions.link_changed.connect(self._refresh)
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(keys), self, self.send, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
        QShortcut(QKeySequence("Esc"), self, self.closed.emit, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self._refresh()

    def offer(self, agents: list[str]) -> None:
        """Offer these recipients; the one that is chosen stays."""
        if agents != [self._recipient.itemText(row) for row in range(self._recipient.count())]:
            chosen = self._recipient.currentText()
            self._recipient.clear()
            self._recipient.addItems(agents)
            self._recipient.setCurrentText(chosen if chosen in agents else agents[0] if agents else "")
            self._refresh()

    def take_in(self, board: Board) -> None:
        """Say what has become of the message that the user waits for."""
        self._awaited.take_in(board)

    def write_to(self, agent: str) -> None:
        """Begin to write, to ``agent`` when it is one."""
        self._aim("", "")
        if self._recipient.findText(agent) >= 0:
            self._recipient.setCurrentText(agent)
        self._body.setFocus()

    def reply_to(self, view: MessageView) -> None:
        """Begin to answer a message that an agent wrote to the user."""
        what = view.envelope.subject or first_line(view.envelope.body, 200)
        self._aim(view.envelope.id, f"{view.envelope.sender}: {what}")
        self._body.setFocus()

    def _aim(self, message_id: str, target: str) -> None:
        """Write a reply to ``message_id``, or a message of its own when that is empty."""
        if self._sending:
            return
        self._answers = message_id
        self._to.setText("Reply to" if message_id else "To")
        self._target.setText(target)
        self._target.setVisible(bool(message_id))
        self._recipient.setVisible(not message_id)
        self._subject.setVisible(not message_id)
        self._wait.setVisible(not message_id)
        self._say("")
        self._refresh()

    def send(self) -> None:
        """Send what is written."""
        recipient, body = self._recipient.currentText(), self._body.toPlainText().strip()
        if not self._send.isEnabled():
            return
        self._sending = True
        self._say("Sending…")
        self._refresh()
        if self._answers:
            self._actions.reply(self._answers, body, self._done, self._failed)
            return
        self._actions.send(self._letter(recipient, body), self._done, self._failed)

    def _letter(self, recipient: str, body: str) -> Letter:
        subject, awaits = self._subject.text().strip(), self._wait.awaits
        if awaits is None:
            return Letter(recipient, body, subject)
        return Letter(recipient, body, subject, sync=True, awaits=awaits, timeout=self._wait.seconds)

    def _done(self, message: str) -> None:
        self._sending = False
        answered, recipient = bool(self._answers), self._recipient.currentText()
        if answered:
            self._aim("", "")
        self._say("Reply sent" if answered else f"Sent to {recipient}")
        if not answered:
            self._awaited.begin(message, recipient, self._wait)
        self._subject.clear()
        self._body.clear()
        self._refresh()
        self.sent.emit(message)

    def _failed(self, error: SkerryError) -> None:
        self._sending = False
        self._say(str(error), wrong=True)
        self._refresh()

    def _say(self, text: str, *, wrong: bool = False) -> None:
        self._note.setProperty("tone", "danger" if wrong else "muted")
        self._note.style().unpolish(self._note)
        self._note.style().polish(self._note)
        self._note.setText(text)

    def _refresh(self) -> None:
        written = bool(self._body.toPlainText().strip()) and bool(self._answers or self._recipient.count())
        self._send.setEnabled(written and self._actions.ready and not self._sending)
        for part in (self._recipient, self._subject, self._body, self._wait):
            part.setEnabled(not self._sending)
        self._send.setToolTip("Ctrl+Enter" if self._actions.ready else "The engine is not running")

    def _lay_out(self) -> None:
        self._name_parts()
        to = QHBoxLayout()
        to.setSpacing(SPACE)
        to.addWidget(self._to)
        to.addWidget(self._target, 1)
        self._target.setObjectName("composer-target")
        self._target.hide()
        to.addWidget(self._recipient)
        to.addWidget(self._subject, 1)
        below = QHBoxLayout()
        below.setSpacing(SPACE)
        below.addWidget(self._note, 1)
        below.addWidget(self._wait)
        below.addWidget(self._cancel)
        below.addWidget(self._send)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * SPACE, int(1.5 * SPACE), 2 * SPACE, int(1.5 * SPACE))
        layout.setSpacing(SPACE)
        layout.addLayout(to)
        layout.addWidget(self._body)
        layout.addLayout(below)

    def _name_parts(self) -> None:
        self._recipient.setObjectName("composer-recipient")
        self._recipient.setAccessibleName("Recipient")
        self._recipient.setMinimumWidth(22 * SPACE)
        self._subject.setObjectName("composer-subject")
        self._subject.setPlaceholderText("Subject (optional)")
        self._body.setObjectName("composer-body")
        self._body.setProperty("role", "editor")
        self._body.setAccessibleName("Message to the agent")
        self._body.setPlaceholderText("What shall the agent know or do? It reads this before its next turn.")
        self._body.setFont(base_font())
        self._body.setTabChangesFocus(True)
        self._body.setFixedHeight(11 * SPACE)
        self._note.setObjectName("composer-note")
        style_label(self._note, tone="muted")
