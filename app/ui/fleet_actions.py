"""The verbs of the window: each goes to ``Commands`` on the bridge, and its end comes back to who asked."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal

from app.config import Project
from app.control.letters import Letter
from app.domain.errors import EngineError, SkerryError
from app.domain.interrupt import Answer
from app.ui.bridge import Bridge
from app.ui.commands import Commands, Connector

T = TypeVar("T")
OnError = Callable[[SkerryError], None]


class Link(StrEnum):
    """Whether commands can be given."""

    CONNECTING = "connecting"
    READY = "ready"
    LOST = "lost"


class FleetActions(QObject):
    """Commands for one project's fleet. ``link_changed`` says when they can, or can no longer, be given."""

    link_changed = Signal()
    progress = Signal(str)
    """What a long command is doing now; empty when it is over."""
    failed = Signal(object)
    """The SkerryError of a command that nobody waits for."""

    def __init__(
        self,
        bridge: Bridge,
        connector: Connector,
        project: Project,
        rehearse: str | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._connector = connector
        self._project = project
        self._commands: Commands | None = None
        self.rehearse = rehearse
        self.link = Link.LOST
        self.starting = False
        self.stopping = False
        bridge.told.connect(self.progress)

    @property
    def ready(self) -> bool:
        """Whether commands can be given now."""
        return self.link is Link.READY

    def connect_engine(self, then: Callable[[], None] | None = None) -> None:
        """Start the engine where none runs and connect to it, in the background; ``then`` runs once that is done."""
        if self.link is not Link.LOST:
            return
        self._set_link(Link.CONNECTING)
        self.progress.emit("Starting the engine…")

        def connected(commands: Commands) -> None:
            self._commands = commands
            self.progress.emit("")
            self._set_link(Link.READY)
            if then is not None:
                then()

        self._bridge.submit(self._connect(), connected, self._connect_failed)

    @property
    def fleet(self) -> str:
        """The id of the fleet that is commanded."""
        return self._project.fleet_id

    def give(
        self, command: Callable[[Commands], Coroutine[Any, Any, T]], done: Callable[[T], None], failed: OnError
    ) -> None:
        """Give any other command; exactly one of ``done`` and ``failed`` is called later, unless the window closes."""
        self._give(command, done, failed)

    def run(self) -> None:
        """Start the fleet."""
        if self.starting or not self.ready:
            return
        self._mark(starting=True)
        self.progress.emit("Starting the agents…")
        self._give(
            lambda commands: commands.run_fleet(self._project, rehearse=self.rehearse),
            lambda _run: self._settled(),
            self._failed,
        )

    def stop(self) -> None:
        """Stop all agents of the fleet."""
        if self.stopping or not self.ready:
            return
        self._mark(stopping=True)
        self.progress.emit("Stopping the agents…")
        fleet = self._project.fleet_id
        self._give(lambda commands: commands.stop_fleet(fleet), lambda _none: self._settled(), self._failed)

    def send(self, letter: Letter, done: Callable[[str], None], failed: OnError) -> None:
        """Write to an agent as the user; what becomes of it, the board tells."""
        fleet = self._project.fleet_id
        self._give(lambda commands: commands.post(fleet, letter), done, failed)

    def reply(self, message_id: str, body: str, done: Callable[[str], None], failed: OnError) -> None:
        """Answer a message that an agent wrote to the user."""
        fleet = self._project.fleet_id
        self._give(lambda commands: commands.reply(fleet, message_id, body), done, failed)

    def mark_read(self, message_ids: Sequence[str], failed: OnError) -> None:
        """Put on record that the user had these messages in full before them."""
        self._give(lambda commands: commands.mark_read(message_ids), lambda _none: None, failed)

    def answer(self, interrupt_id: str, answer: Answer, done: Callable[[], None], failed: OnError) -> None:
        """Answer an interrupt."""
        fleet = self._project.fleet_id
        self._give(lambda commands: commands.answer(fleet, interrupt_id, answer), lambda _settled: done(), failed)

    def answer_alike(self, interrupt_id: str, answer: Answer, done: Callable[[], None], failed: OnError) -> None:
        """Answer an interrupt and those of its group."""
        fleet = self._project.fleet_id
        self._give(lambda commands: commands.answer_alike(fleet, interrupt_id, answer), lambda _all: done(), failed)

    def end_approve_all(self, agent: str) -> None:
        """Ask again: for one agent, or the team."""
        fleet = self._project.fleet_id
        self._give(lambda commands: commands.end_approve_all(fleet, agent), lambda _none: None, self._failed)

    def stop_engine(self, done: Callable[[], None], failed: OnError) -> None:
        """Stop the engine, and with it all agents."""
        self.progress.emit("Stopping the engine…")

        def stopped(_none: None) -> None:
            self.progress.emit("")
            done()

        self._give(lambda commands: commands.stop_engine(), stopped, failed)

    def engine_gone(self) -> None:
        """The engine went: commands need a new connection."""
        if self.link is not Link.READY:
            return
        commands, self._commands = self._commands, None
        if commands is not None:
            self._bridge.submit(commands.close())
        self._mark()
        self._set_link(Link.LOST)

    def close(self) -> None:
        """Let go of the engine; it goes on."""
        commands = self._commands
        self._bridge.close(commands.close if commands is not None else None)

    async def _connect(self) -> Commands:
        return await self._connector(self._bridge.tell)

    def _give(
        self, command: Callable[[Commands], Coroutine[Any, Any, T]], done: Callable[[T], None], failed: OnError
    ) -> None:
        if self._commands is None:
            failed(EngineError("the engine is not running", hint="start it first; the button is at the bottom"))
            return
        self._bridge.submit(command(self._commands), done, failed)

    def _connect_failed(self, error: SkerryError) -> None:
        self._set_link(Link.LOST)
        self._failed(error)

    def _failed(self, error: SkerryError) -> None:
        self._settled()
        self.failed.emit(error)

    def _settled(self) -> None:
        self.progress.emit("")
        self._mark()

    def _mark(self, *, starting: bool = False, stopping: bool = False) -> None:
        self.starting, self.stopping = starting, stopping
        self.link_changed.emit()

    def _set_link(self, link: Link) -> None:
        self.link = link
        self.link_changed.emit()
