"""One agent's console: who it is and how it stands, the transcript, and the way back to the newest line."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from app.domain.board import AgentView, Board
from app.domain.events import Event
from app.ui.console.book import TranscriptBook
from app.ui.console.entries import Entry, EntryKind, Piece, Role, piece
from app.ui.console.transcriber import Transcriber
from app.ui.console.view import TranscriptView
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button, give_icon, menu_button
from app.ui.widgets.chips import Chip
from app.ui.widgets.empty_state import EmptyState
from app.ui.widgets.labels import ElidedLabel, label, style_label
from app.ui.wording import count, plural, state_word


class ConsolePane(QWidget):
    """Shows the transcript of the agent it was told to show; ``shown`` says which that is now."""

    shown = Signal(str)

    def __init__(self, theme: Theme, book: TranscriptBook, name: str) -> None:
        super().__init__()
        self._theme = theme
        self._book = book
        self._agent = ""
        self._transcriber: Transcriber | None = None
        self.view = TranscriptView(theme)
        self.view.setObjectName(f"{name}-transcript")
        self._empty = EmptyState(theme, "console", "Nothing to show yet", "What the agent says and runs appears here.")
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self.view)
        self._latest = button("Newest", f"{name}-follow", tip="Scroll to the end and stay there")
        self._latest.setParent(self.view)
        self._latest.hide()
        give_icon(self._latest, theme, "arrow-down")
        self._lay_out(theme, name)
        self.view.installEventFilter(self)
        self.view.following_changed.connect(self._follow_changed)
        self._latest.clicked.connect(lambda: self.view.follow(True))
        book.grew.connect(self._grew)
        book.restarted.connect(self.reload)
        theme.changed.connect(self._repaint)

    @property
    def agent(self) -> str:
        """Whose transcript is shown."""
        return self._agent

    def show_agent(self, agent: str) -> None:
        """Show another agent's transcript."""
        if agent != self._agent:
            self._agent = agent
            self.shown.emit(agent)
            self.reload()
            self.show_board(self._book.board)

    def use_menu(self, menu: QMenu) -> None:
        """The orders for the agent that is shown."""
        self._orders.setMenu(menu)
        self._orders.show()

    def reload(self) -> None:
        """Write the transcript anew from the kept facts."""
        self._transcriber = Transcriber(self._agent, self._book.board.messages)
        self.view.begin()
        facts = self._book.facts(self._agent)
        dropped = self._book.dropped(self._agent)
        if dropped:
            entry = Entry(EntryKind.NOTE, facts[0].at)
            self.view.append(
                [piece(entry, Role.HEAD, f"{plural(dropped, 'earlier fact')} left out here, kept in the journal")]
            )
        self._append(facts)
        self._stack.setCurrentWidget(self.view if facts else self._empty)

    def show_board(self, board: Board) -> None:
        """Bring the line above the transcript up to date."""
        view = board.agents.get(self._agent)
        self._header.setVisible(view is not None)
        if view is not None:
            self._show_view(view)

    def _repaint(self) -> None:
        self.reload()
        self.show_board(self._book.board)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the button in its corner."""
        if watched is self.view and event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            self._place_button()
        return False

    def _lay_out(self, theme: Theme, name: str) -> None:
        self._name = label(scale=1.1, bold=True)
        self._name.setObjectName(f"{name}-agent")
        self._chip = Chip()
        self._reason = ElidedLabel()
        style_label(self._reason, tone="muted")
        self._figures = label(tone="faint", scale=0.92)
        self._orders = menu_button("Agent", f"{name}-orders", theme, key="Alt+A", tip="Pause, instruct, stop…")
        self._orders.hide()
        self._header = QWidget()
        self._header.setObjectName("toolbar")
        self._header.setFixedHeight(6 * SPACE)
        row = QHBoxLayout(self._header)
        row.setContentsMargins(2 * SPACE, 0, 2 * SPACE, 0)
        row.setSpacing(SPACE)
        row.addWidget(self._name)
        row.addWidget(self._chip)
        row.addWidget(self._reason, 1)
        row.addWidget(self._figures)
        row.addWidget(self._orders)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._header)
        layout.addWidget(self._stack, 1)
        self._header.hide()
        self._figures.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)

    def _show_view(self, view: AgentView) -> None:
        self._name.setText(view.id)
        self._chip.show_state(state_word(view.state), self._theme.tokens.agent(view.state))
        self._reason.setText(view.reason or view.description)
        tokens = view.input_tokens + view.output_tokens
        figures = [f"turn {view.turn}", plural(view.commands, "command"), f"{count(tokens)} tokens"]
        self._figures.setText(" · ".join(figures) if self.width() >= 640 else figures[0])

    def _grew(self, agent: str, facts: list[Event]) -> None:
        if agent == self._agent and self._transcriber is not None:
            self._append(facts)
            self._stack.setCurrentWidget(self.view)

    def _append(self, facts: list[Event]) -> None:
        transcriber = self._transcriber
        if transcriber is None or not facts:
            return

        def pieces() -> Iterator[Piece]:
            for fact in facts:
                yield from transcriber.write(fact)

        self.view.append(pieces())

    def _follow_changed(self, following: bool) -> None:
        self._latest.setVisible(not following)
        self._place_button()

    def _place_button(self) -> None:
        self._latest.adjustSize()
        x = self.view.width() - self._latest.width() - 3 * SPACE
        self._latest.move(x, self.view.height() - self._latest.height() - 2 * SPACE)
        self._latest.raise_()
