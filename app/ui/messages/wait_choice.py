"""Whether the user waits for what becomes of a message, how long, and in words what has come of it."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from app.domain.board import Board, MessageView
from app.domain.envelope import Await, MessageState
from app.ui.typography import SPACE

_CHOICES: tuple[tuple[str, Await | None], ...] = (
    ("Do not wait", None),
    ("Wait until read", "ack"),
    ("Wait for the reply", "reply"),
)
_TIMES = (("1 minute", 60), ("5 minutes", 300), ("15 minutes", 900), ("1 hour", 3600))
_USUAL = 1


class WaitChoice(QWidget):
    """What is waited for, and how long at most; the time is asked for only when there is something to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._what = QComboBox()
        self._what.setObjectName("composer-wait")
        self._what.setAccessibleName("Wait for")
        for words, awaits in _CHOICES:
            self._what.addItem(words, awaits)
        self._time = QComboBox()
        self._time.setObjectName("composer-timeout")
        self._time.setAccessibleName("Wait at most")
        self._time.setToolTip("Unread by then, it is withdrawn")
        for words, seconds in _TIMES:
            self._time.addItem(words, seconds)
        self._time.setCurrentIndex(_USUAL)
        self._time.hide()
        self._what.currentIndexChanged.connect(lambda: self._time.setVisible(self.awaits is not None))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(self._what)
        layout.addWidget(self._time)

    @property
    def awaits(self) -> Await | None:
        """What the user waits for; None for nothing."""
        chosen: Await | None = self._what.currentData()
        return chosen

    @property
    def seconds(self) -> float:
        """How long at most."""
        return float(self._time.currentData())

    @property
    def time(self) -> str:
        """The same in words."""
        return self._time.currentText()


class Awaited(QObject):
    """Follows the message that the user waits for; ``news`` carries words, and whether they are of a failure."""

    news = Signal(str, bool)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._id = ""
        self._awaits: Await = "reply"
        self._recipient = ""
        self._board: Board | None = None
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.timeout.connect(self._too_late)

    def begin(self, message: str, recipient: str, choice: WaitChoice) -> None:
        """Wait for what ``choice`` says becomes of ``message``; what was waited for before is no longer."""
        if choice.awaits is None:
            self._end()
            return
        self._id, self._recipient, self._awaits = message, recipient, choice.awaits
        self._late.start(int(choice.seconds * 1000))
        what = f"{recipient}’s reply" if choice.awaits == "reply" else f"{recipient} to read it"
        self.news.emit(f"Waiting for {what}, {choice.time} at most", False)
        if self._board is not None:
            self.take_in(self._board)  # it may have been quicker than the word that it was sent

    def take_in(self, board: Board) -> None:
        """Look what has become of it."""
        self._board = board
        view = board.messages.get(self._id) if self._id else None
        if view is None:
            return
        words, wrong = self._words(view)
        if words:
            self._end()
            self.news.emit(words, wrong)

    def _words(self, view: MessageView) -> tuple[str, bool]:
        who = view.envelope.recipient
        if view.state is MessageState.ANSWERED:
            return f"{who} has replied", False
        if view.state is MessageState.READ and self._awaits == "ack":
            return f"{who} has read it", False
        if view.state is MessageState.EXPIRED:
            return f"{who} did not read it in time: it is withdrawn", True
        if view.state is MessageState.REFUSED:
            return f"Refused: {view.reason}", True
        return "", False

    def _too_late(self) -> None:
        """One that was read stays; one that was not is withdrawn by the engine, which the board will say."""
        if self._awaits == "reply":
            self.news.emit(f"{self._recipient} has not replied in time; a later reply appears here all the same", True)

    def _end(self) -> None:
        self._id = ""
        self._late.stop()
