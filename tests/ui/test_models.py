"""Every model keeps Qt's rules while facts come in, in batches of any size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QAbstractItemModel, QModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from app.config import Paths
from app.domain.board import Board
from app.domain.events import AgentStatus, RunStarted
from app.domain.interrupt import Answer, Interrupt, InterruptKind
from app.store.journal import Journal
from app.ui.dashboard.model import AgentModel, AgentSorter
from app.ui.dashboard.model import Column as AgentColumn
from app.ui.feed import Advance
from app.ui.interrupts.model import ITEM_ROLE, InterruptModel, InterruptSorter
from app.ui.messages.model import Column, MessageFilter, MessageModel
from tests.ui import blueprint
from tests.ui.story import Story

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


@pytest.fixture
def story(paths: Paths) -> Story:
    return Story(Journal(paths.journal_db), "fleet-1")


def play(story: Story, size: int, take_in: Callable[[Advance], None]) -> Board:
    """Give the story to a model in frames of ``size`` facts, as the feed would."""
    board = Board(story.fleet)
    for start in range(0, len(story.told), size):
        events = story.told[start : start + size]
        board.apply_all(events)
        begins = [place for place, event in enumerate(events) if isinstance(event, RunStarted)]
        take_in(Advance(board, tuple(events[begins[-1] :] if begins else events), bool(begins)))
    return board


def column(model: QAbstractItemModel, number: int) -> list[str]:
    return [str(model.index(row, number).data()) for row in range(model.rowCount())]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_agents(qtbot: QtBot, story: Story, size: int) -> None:
    model, sorter = AgentModel(), AgentSorter()
    sorter.setSourceModel(model)
    testers = [QAbstractItemModelTester(part, FATAL) for part in (model, sorter)]
    sorter.sort(AgentColumn.STATE)
    blueprint.with_question(story)
    board = play(story, size, lambda advance: model.show_board(advance.board))
    assert column(sorter, AgentColumn.AGENT) == [blueprint.OWNER, blueprint.DEV, blueprint.TEST]
    assert column(model, AgentColumn.AGENT) == list(board.agents)
    sorter.filter_by("codex IDLE")
    assert column(sorter, AgentColumn.AGENT) == [blueprint.TEST]
    sorter.filter_by("")
    sorter.sort(AgentColumn.TOKENS, Qt.SortOrder.DescendingOrder)
    assert column(sorter, AgentColumn.AGENT)[-1] == blueprint.TEST
    story.run = "run-2"
    story.start({"another": "One"})
    board.apply_all(story.told[-1:])
    model.show_board(board)
    assert column(sorter, AgentColumn.AGENT) == ["another"]
    assert len(testers) == 2


def test_agents_change_narrowly(qtbot: QtBot, story: Story) -> None:
    model, board = AgentModel(), Board("fleet-1")
    story.start()
    board.apply_all(story.told)
    model.show_board(board)
    changed: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last: changed.append((first.row(), last.row())))
    story.state(blueprint.TEST, AgentStatus.RUNNING, "turn 1")
    board.apply_all(story.told[-1:])
    model.show_board(board)
    model.show_board(board)
    assert changed == [(1, 1)]


def test_who_needs_the_user_comes_first(qtbot: QtBot, story: Story) -> None:
    model, sorter = AgentModel(), AgentSorter()
    sorter.setSourceModel(model)
    sorter.sort(AgentColumn.STATE)
    names = ["a-done", "b-idle", "c-runs", "d-waits", "e-failed", "f-asks", "g-stopped"]
    states = ["completed", "idle", "running", "waiting", "failed", "running", "stopped"]
    story.start(dict.fromkeys(names, ""))
    for name, state in zip(names, states, strict=True):
        story.state(name, AgentStatus(state))
    story.ask("f-asks", "May I?")
    board = Board("fleet-1")
    board.apply_all(story.told)
    model.show_board(board)
    assert column(sorter, 0) == ["e-failed", "f-asks", "d-waits", "c-runs", "b-idle", "a-done", "g-stopped"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_messages(qtbot: QtBot, story: Story, size: int) -> None:
    model, proxy = MessageModel(), MessageFilter()
    proxy.setSourceModel(model)
    testers = [QAbstractItemModelTester(part, FATAL) for part in (model, proxy)]
    blueprint.with_question(story)
    board = play(story, size, model.take_in)
    subjects = [view.envelope.subject or view.envelope.body for view in board.messages.values()]
    assert column(model, Column.SUBJECT) == subjects[::-1]
    assert column(model, Column.STATE)[:3] == ["accepted", "delivered", "read"]
    assert column(model, Column.ROUTE)[1] == "you → dev-agent"
    proxy.filter_by("test-agent", "fail")
    assert column(proxy, Column.SUBJECT) == ["2 of 5 tests fail"]
    proxy.filter_by("user", "")
    assert proxy.rowCount() == 1
    assert len(testers) == 2


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_interrupts(qtbot: QtBot, story: Story, size: int) -> None:
    model, sorter = InterruptModel(), InterruptSorter()
    sorter.use(model)
    testers = [QAbstractItemModelTester(part, FATAL) for part in (model, sorter)]
    story.start()
    first = story.ask("dev-agent", "first")
    story.ask("test-agent", "report", kind=InterruptKind.PROGRESS_REPORT)
    second = story.ask("test-agent", "second")
    story.ask("dev-agent", "third")
    story.answered(first, Answer(text="yes"))
    story.answered(second, Answer(text="no"))
    play(story, size, model.take_in)
    assert [_name(sorter.index(row, 0)) for row in range(sorter.rowCount())] == [
        "Open", "third", "report", "Answered", "second", "first",
    ]  # fmt: skip
    assert sorter.index(0, 0).flags() == Qt.ItemFlag.NoItemFlags
    assert column(sorter, 0)[4] == "test-agent, Question: second (no)"
    assert len(testers) == 2


def test_empty_sections_have_no_heading(qtbot: QtBot, story: Story) -> None:
    model, sorter = InterruptModel(), InterruptSorter()
    sorter.use(model)
    assert sorter.rowCount() == 0
    story.start()
    story.ask("dev-agent", "a question")
    play(story, 1000, model.take_in)
    assert [_name(sorter.index(row, 0)) for row in range(sorter.rowCount())] == ["Open", "a question"]


def _name(index: QModelIndex) -> str:
    item = index.data(ITEM_ROLE)
    return item.title if isinstance(item, Interrupt) else item.text
