"""The main window: composes the pages, and hands facts to all of them once a frame."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QMessageBox,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.config import Project
from app.domain.board import Board
from app.ui.console.book import TranscriptBook
from app.ui.console.page import ConsolePage
from app.ui.controls.menu import Controls
from app.ui.dashboard.page import DashboardPage
from app.ui.engine_watch import EngineState, EngineWatch
from app.ui.feed import Advance, JournalFeed
from app.ui.fleet_actions import FleetActions
from app.ui.frame.approving import ApprovingStrip
from app.ui.frame.attention import AttentionStrip
from app.ui.frame.fleet_header import FleetHeader
from app.ui.frame.navigation import NARROW_WIDTH, WIDTH, Navigation, Page
from app.ui.frame.status_strip import LEAVING, StatusStrip
from app.ui.interrupts.page import InterruptsPage
from app.ui.messages.page import MessagesPage
from app.ui.theme import Theme, ThemeChoice
from app.ui.wording import plural, wants_answer

_NARROW = 1100


class MainWindow(QMainWindow):
    """Shows one project. ``quit_wanted`` carries whether the engine shall be stopped as well."""

    quit_wanted = Signal(bool)

    def __init__(
        self,
        project: Project,
        theme: Theme,
        feed: JournalFeed,
        engine: EngineWatch,
        actions: FleetActions,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self._project = project
        self._theme = theme
        self._feed = feed
        self._actions = actions
        self.book = TranscriptBook(self)
        self.navigation = Navigation(theme)
        self.header = FleetHeader(theme, project, actions, now)
        self.attention = AttentionStrip(theme)
        self.approving = ApprovingStrip(actions, now)
        self.status = StatusStrip(theme, actions)
        self.dashboard = DashboardPage(theme, self.book)
        self.messages = MessagesPage(theme, actions)
        self.interrupts = InterruptsPage(theme, actions, now)
        self.console = ConsolePage(theme, self.book)
        self.controls = Controls(project, actions, now, self)
        self._stack = QStackedWidget()
        self._frame = QWidget()
        self._engine_pid = 0
        self._lay_out()
        self._connect(engine)
        self._say_what_is_missing()
        self.turn_to(Page.DASHBOARD)

    @property
    def page(self) -> Page:
        """The page that is shown."""
        return list(Page)[self._stack.currentIndex()]

    def turn_to(self, page: Page) -> None:
        """Show a page."""
        self._stack.setCurrentIndex(list(Page).index(page))
        self.navigation.turn_to(page)
        self.attention.be_quiet_about_interrupts(page is Page.INTERRUPTS)
        self._focus_page()

    def _focus_page(self) -> None:
        page = self._stack.currentWidget()
        target = page.focusProxy() if page is not None else None
        # An empty page has nothing to focus: the frame takes it, so that no button looks chosen.
        (target if target is not None and target.isVisibleTo(self) else self._frame).setFocus()

    def open_console(self, agent: str) -> None:
        """Show an agent's console."""
        self.console.show_agent(agent)
        self.turn_to(Page.CONSOLE)

    def open_interrupt(self, interrupt: str) -> None:
        """Show an interrupt, ready for its answer."""
        self.turn_to(Page.INTERRUPTS)
        self.interrupts.show_interrupt(interrupt)

    def take_in(self, advance: Advance) -> None:
        """Show what a frame brought."""
        board = advance.board
        was_empty = not self.dashboard.model.rowCount()
        self.book.take_in(advance)
        self.messages.take_in(advance)
        self.interrupts.take_in(advance)
        self.dashboard.show_board(board, caught_up=self._feed.caught_up)
        self.console.show_board(board)
        self.header.show_board(board, self._feed.ended_at)
        self.attention.show_board(board)
        self.approving.show_board(board)
        self.controls.show_board(board)
        self._show_counts(board)
        if was_empty and self._frame.hasFocus():
            self._focus_page()

    def _show_counts(self, board: Board) -> None:
        waiting = sum(1 for item in board.open_interrupts if wants_answer(item))
        self.navigation.button(Page.DASHBOARD).show_count(len(board.agents))
        self.navigation.button(Page.MESSAGES).show_count(len(board.messages))
        self.navigation.button(Page.INTERRUPTS).show_count(waiting or len(board.open_interrupts), urgent=waiting > 0)
        self.setWindowTitle(f"{f'({waiting}) ' if waiting else ''}{self._project.name} — Skerry")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrower navigation in a narrow window."""
        super().resizeEvent(event)
        self.navigation.setFixedWidth(NARROW_WIDTH if event.size().width() < _NARROW else WIDTH)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Leave without stopping anything."""
        event.accept()
        self.quit_wanted.emit(False)

    def ask_to_quit(self) -> None:
        """Leave, and ask whether the agents shall go on: stopping them is not what a closed window means."""
        if not self._actions.ready:
            self.close()
            return
        box = QMessageBox(
            QMessageBox.Icon.NoIcon, "Quit Skerry", "Shall the agents go on without the window?", parent=self
        )
        box.setInformativeText(
            "They can work on in the background. Stopped, nothing is lost: they go on when you start again."
        )
        go_on = box.addButton("Leave them running", QMessageBox.ButtonRole.AcceptRole)
        stop = box.addButton("Stop everything", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        for made, name in ((go_on, "quit-leave"), (stop, "quit-stop")):
            made.setObjectName(name)
        box.setDefaultButton(go_on)
        box.buttonClicked.connect(lambda clicked: self._quit(clicked, go_on, stop))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _quit(self, clicked: object, go_on: QPushButton, stop: QPushButton) -> None:
        if clicked is go_on:
            self.close()
        elif clicked is stop:
            self.quit_wanted.emit(True)

    def _engine_changed(self, state: EngineState) -> None:
        self.status.show_engine(state)
        if self._engine_pid and state.pid != self._engine_pid:
            self._actions.engine_gone()
        self._engine_pid = state.pid
        if state.running:
            # Somebody else started it, or started it anew: commands can be given again.
            self._actions.connect_engine()

    def _engine_looked_at(self, state: EngineState) -> None:
        """An engine may come and go between two looks, or while a connection to it is made."""
        if not state.running and self._actions.ready:
            self._actions.engine_gone()

    def _say_what_is_missing(self) -> None:
        names = ", ".join(agent.id for agent in self._project.fleet.agents)
        hint = f"{plural(len(self._project.fleet.agents), 'agent')} declared in {self._project.file.name}: {names}."
        self.dashboard.empty.say("The agents are not running", f"{hint}\nStart them with the button above.")

    def _connect(self, engine: EngineWatch) -> None:
        self._feed.advanced.connect(self.take_in)
        self._feed.trouble.connect(self.status.show_trouble)
        engine.changed.connect(self._engine_changed)
        engine.looked.connect(self._engine_looked_at)
        self.status.start_wanted.connect(self._actions.connect_engine)
        self.navigation.turned.connect(lambda page: self.turn_to(Page(page)))
        self.attention.interrupt_wanted.connect(self.open_interrupt)
        self.attention.agent_wanted.connect(self.open_console)
        self.interrupts.console_wanted.connect(self.open_console)
        self.dashboard.opened.connect(self.open_console)
        self.dashboard.chosen.connect(self.console.show_agent)
        self.console.chosen.connect(self.dashboard.show_agent)
        ticker = QTimer(self)
        ticker.timeout.connect(self.header.tick)
        ticker.start(1000)

    def _lay_out(self) -> None:
        self.setObjectName("main-window")
        self.setWindowTitle(f"{self._project.name} — Skerry")
        self.setMinimumSize(760, 520)
        for page in (self.dashboard, self.messages, self.interrupts, self.console):
            self._stack.addWidget(page)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        for part in (self.header, self.attention, self.approving):
            right.addWidget(part)
        right.addWidget(self._stack, 1)
        right.addWidget(self.status)
        frame = self._frame
        frame.setObjectName("frame")
        frame.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        row = QHBoxLayout(frame)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.navigation)
        row.addLayout(right, 1)
        self.setCentralWidget(frame)
        self.navigation.use_menu(self._menu())
        self.header.team.setMenu(self.controls.team)
        self.dashboard.use_menu(self.controls.for_agent(self.dashboard))
        self.console.use_menu(self.controls.for_agent(self.console))

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        themes = menu.addMenu("Theme")
        group = QActionGroup(menu)
        for choice in ThemeChoice:
            action = QAction(choice.value.capitalize(), group)
            action.setCheckable(True)
            action.setChecked(choice is self._theme.choice)
            action.triggered.connect(lambda _checked=False, choice=choice: self._theme.choose(choice))
            themes.addAction(action)
        menu.addSeparator()
        close = menu.addAction("Close window", self.close)
        close.setShortcut(QKeySequence("Ctrl+W"))
        close.setToolTip(LEAVING)
        leave = menu.addAction("Quit…", self.ask_to_quit)
        leave.setShortcut(QKeySequence("Ctrl+Q"))
        menu.setToolTipsVisible(True)
        self.addActions([close, leave])
        return menu
