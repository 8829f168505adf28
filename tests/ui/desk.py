"""A window over a real journal, and the commands behind it: what the engine would do, done in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from PySide6.QtWidgets import QApplication

from app.config import Paths, Project, load_project
from app.control.letters import Letter
from app.domain import events as ev
from app.domain.board import Board
from app.domain.envelope import MessageState
from app.domain.errors import AlreadyAnswered, SkerryError
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, alike
from app.domain.ports import Progress
from app.store.journal import Journal, JournalReader
from app.ui.bridge import Bridge
from app.ui.commands import Commands
from app.ui.engine_watch import EngineState, EngineWatch
from app.ui.feed import JournalFeed
from app.ui.fleet_actions import FleetActions
from app.ui.frame.main_window import MainWindow
from app.ui.theme import Theme, ThemeChoice
from tests.ui.story import Story

AGENTS_YAML = """\
project:
  name: feature-x
agents:
  - {id: dev-agent, type: codex, description: Writes, direct_communication: [test-agent]}
  - {id: test-agent, type: codex, description: Tests, direct_communication: [dev-agent]}
  - {id: product-owner-agent, type: codex, description: Decides, direct_communication: [dev-agent]}
"""


class MemoryCommands:
    """Keeps the promises of ``Commands`` by appending the facts that the engine would."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.given: list[tuple[str, ...]] = []
        self.answers: list[tuple[str, Answer]] = []
        self.letters: list[Letter] = []
        self.refuse: SkerryError | None = None
        self.delay = 0.0
        self.late = timedelta(minutes=4)
        self.closed = False

    async def run_fleet(self, project: Project, *, rehearse: str | None = None) -> str:
        await self._take("run", project.fleet_id, rehearse or "")
        self.story.start()
        return self.story.run

    async def stop_fleet(self, fleet: str) -> None:
        await self._take("stop", fleet)
        self.story.end("stopped")

    async def post(self, fleet: str, letter: Letter) -> str:
        await self._take("send", fleet, letter.recipient, letter.body, letter.subject)
        self.letters.append(letter)
        return self.story.send("user", letter.recipient, letter.subject, letter.body, sync=letter.sync)

    async def reply(self, fleet: str, message_id: str, body: str) -> str:
        await self._take("reply", fleet, message_id, body)
        return self.story.reply(message_id, "user", body)

    async def mark_read(self, message_ids: Sequence[str]) -> None:
        await self._take("mark read", *message_ids)
        for message in message_ids:
            self.story.move(message, MessageState.READ)

    async def answer(self, fleet: str, interrupt_id: str, answer: Answer) -> object:
        await self._take("answer", fleet, interrupt_id)
        if any(known == interrupt_id for known, _ in self.answers):
            raise AlreadyAnswered(f"{interrupt_id} is answered already", hint="answers are given once")
        self.story.answered(interrupt_id, answer)
        self.answers.append((interrupt_id, answer))
        return None

    async def answer_alike(self, fleet: str, interrupt_id: str, answer: Answer) -> object:
        await self._take("answer alike", fleet, interrupt_id)
        board = Board(fleet)
        board.apply_all(self.story.told)
        for item in alike(board.interrupts[interrupt_id], board.open_interrupts):
            self.story.answered(item.id, answer)
            self.answers.append((item.id, answer))
        return None

    async def stop_agent(self, fleet: str, agent: str) -> None:
        await self._take("stop", fleet, agent)
        self.story.state(agent, AgentStatus.STOPPED, "stopped by the user")

    async def start_agent(self, fleet: str, agent: str) -> None:
        await self._take("start", fleet, agent)
        self.story.state(agent, AgentStatus.STARTING, "is started again")

    async def pause_agent(self, fleet: str, agent: str, *, to_disk: bool = False, after_command: bool = False) -> None:
        await self._take("pause", fleet, agent, "to disk" if to_disk else "after command" if after_command else "now")
        self.story.state(agent, AgentStatus.PAUSED, "paused by the user")

    async def resume_agent(self, fleet: str, agent: str) -> None:
        await self._take("resume", fleet, agent)
        self.story.state(agent, AgentStatus.RUNNING, "goes on")

    async def reset_agent(self, fleet: str, agent: str) -> None:
        await self._take("reset", fleet, agent)

    async def remove_machine(self, fleet: str, agent: str) -> None:
        await self._take("remove", fleet, agent)

    async def cancel_turn(self, fleet: str, agent: str) -> None:
        await self._take("cancel turn", fleet, agent)
        self.story.state(agent, AgentStatus.IDLE, "its turn was cancelled")

    async def cancel_task(self, fleet: str, agent: str) -> None:
        await self._take("cancel task", fleet, agent)
        self.story.state(agent, AgentStatus.IDLE, "its task was cancelled")

    async def instruct(self, fleet: str, agent: str, text: str, mode: Literal["amend", "replace"] = "amend") -> None:
        await self._take("instruct", fleet, agent, text, mode)
        self.story.tell(ev.InstructionsChanged, agent, mode=mode, text=text)

    async def approve_all(self, fleet: str, lasting: timedelta, agent: str = "") -> datetime:
        await self._take("approve all", fleet, agent, str(int(lasting.total_seconds())))
        until = self.story.at + self.late + lasting
        self.story.tell(ev.ApprovalsOpened, agent, until=until)
        return until

    async def end_approve_all(self, fleet: str, agent: str = "") -> None:
        await self._take("end approve all", fleet, agent)
        self.story.tell(ev.ApprovalsClosed, agent)

    async def stop_engine(self) -> None:
        await self._take("stop engine")

    async def close(self) -> None:
        self.closed = True

    async def _take(self, *order: str) -> None:
        self.given.append(order)
        await asyncio.sleep(self.delay)
        if self.refuse is not None:
            raise self.refuse


class TestDesk:
    """What ``application.Desk`` composes, with a clock and commands of the test."""

    __test__ = False

    def __init__(self, application: QApplication, paths: Paths, folder: Path, choice: ThemeChoice) -> None:
        self.project = make_project(folder)
        self.paths = paths
        self.journal = Journal(paths.journal_db)
        self.story = Story(self.journal, self.project.fleet_id)
        self.commands = MemoryCommands(self.story)
        self.theme = Theme(application, paths.icons, choice)
        self.bridge = Bridge()
        self.actions = FleetActions(self.bridge, self._connect, self.project)
        self.feed = JournalFeed(JournalReader(paths.journal_db), self.project.fleet_id)
        self.engine_state = EngineState(4711, "http://127.0.0.1:8233")
        self.engine = EngineWatch(lambda: self.engine_state)
        self.late = self.commands.late
        self.window = MainWindow(self.project, self.theme, self.feed, self.engine, self.actions, self.now)

    def now(self) -> datetime:
        """Some minutes after the last fact of the story."""
        return self.story.at + self.late

    def open(self, width: int = 1280, height: int = 820, *, connect: bool = True) -> None:
        """Show the window."""
        self.window.resize(width, height)
        self.window.show()
        self.feed.start()
        if connect:
            self.actions.connect_engine()
            self.engine.start()

    def catch_up(self) -> None:
        """Take in all there is in the journal now."""
        self.feed.poll()
        while not self.feed.caught_up:
            self.feed.poll()

    def close(self) -> None:
        """Take everything down."""
        self.feed.stop()
        self.engine.stop()
        self.window.close()
        self.actions.close()
        self.journal.close()

    async def _connect(self, progress: Progress) -> Commands:
        progress("Starting the engine…")
        return self.commands


def make_project(folder: Path) -> Project:
    """The team of the tests, on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "agents.yaml").write_text(AGENTS_YAML)
    return load_project(folder)


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)
