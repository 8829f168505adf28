"""The line at the bottom: whether the engine runs, what it is busy with, what went wrong, and Temporal's page."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QColor, QDesktopServices, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.domain.errors import SkerryError
from app.ui.engine_watch import EngineState
from app.ui.fleet_actions import FleetActions, Link
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button, give_icon
from app.ui.widgets.chips import paint_dot
from app.ui.widgets.labels import ElidedLabel, label, style_label

LEAVING = "Closing this window stops nothing: the engine and the agents go on. Menu → Quit can stop them."

RESTING = "You see what was recorded last. Nothing moves until the engine runs; nothing is lost."


class _Dot(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(10, 20)
        self.color = QColor()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the dot."""
        painter = QPainter(self)
        paint_dot(painter, self.rect().toRectF().center(), self.color)
        painter.end()


class StatusStrip(QWidget):
    """``start_wanted`` asks for the engine to be started."""

    start_wanted = Signal()

    def __init__(self, theme: Theme, actions: FleetActions) -> None:
        super().__init__()
        self.setObjectName("status-strip")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(4 * SPACE)
        self._theme = theme
        self._actions = actions
        self._engine = EngineState()
        self._progress = ""
        self._journal = ""
        self._error = ""
        self._dot = _Dot()
        self._state = label(scale=0.92)
        self._state.setObjectName("status-engine")
        self._start = button("Start engine", "engine-start", kind="link")
        self._words = ElidedLabel()
        self._words.setObjectName("status-words")
        self._dismiss = button("", "status-dismiss", kind="link", tip="Dismiss")
        self._temporal = button("Temporal", "temporal-open", kind="link")
        self._lay_out()
        self._start.clicked.connect(self.start_wanted)
        self._dismiss.clicked.connect(lambda: self.show_error(None))
        self._temporal.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(self._engine.web_ui)))
        actions.link_changed.connect(self.refresh)
        actions.progress.connect(self.show_progress)
        actions.failed.connect(self.show_error)
        theme.changed.connect(self.refresh)
        self.refresh()

    def show_engine(self, state: EngineState) -> None:
        """The engine came or went."""
        self._engine = state
        self.refresh()

    def show_progress(self, words: str) -> None:
        """What a long command is doing now; it clears the error of the one before."""
        self._progress = words
        if words:
            self._error = ""
        self.refresh()

    def show_error(self, error: SkerryError | None) -> None:
        """What went wrong with a command in the background; it stays until dismissed or tried again."""
        self._error = str(error) if error is not None else ""
        self.refresh()

    def show_trouble(self, words: str) -> None:
        """The journal cannot be read, or can again."""
        self._journal = words
        self.refresh()

    def refresh(self) -> None:
        """Show all of it."""
        tokens = self._theme.tokens
        link, running = self._actions.link, self._engine.running or self._actions.ready
        tone = tokens.green if running else tokens.violet if link is Link.CONNECTING else tokens.neutral
        self._dot.color = QColor(tone.ink)
        self._dot.update()
        starting = link is Link.CONNECTING and not running
        self._state.setText("Engine running" if running else "Engine starting" if starting else "Engine not running")
        self._state.setToolTip(LEAVING if running else "")
        self._start.setVisible(link is Link.LOST)
        self._start.setText("Connect" if self._engine.running else "Start engine")
        wrong = self._error or self._journal
        self._words.setProperty("tone", "danger" if wrong else "muted")
        self._words.style().unpolish(self._words)
        self._words.style().polish(self._words)
        self._words.setText(wrong or self._progress or (LEAVING if running else "" if starting else RESTING))
        self._dismiss.setVisible(bool(self._error))
        self._temporal.setVisible(bool(self._engine.web_ui))
        self._temporal.setToolTip(f"Open Temporal's own page: {self._engine.web_ui}")

    def _lay_out(self) -> None:
        style_label(self._words, scale=0.92, tone="muted")
        give_icon(self._dismiss, self._theme, "close", "danger", 14)
        self._dismiss.setAccessibleName("Dismiss the error")
        give_icon(self._temporal, self._theme, "external", "accent", 14)
        self._temporal.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * SPACE, 0, 2 * SPACE, 0)
        row.setSpacing(SPACE)
        row.addWidget(self._dot)
        row.addWidget(self._state)
        row.addWidget(self._start)
        row.addSpacing(SPACE)
        row.addWidget(self._words, 1)
        row.addWidget(self._dismiss)
        row.addWidget(self._temporal)
