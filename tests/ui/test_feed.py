"""The journal becomes the board, a little at a time."""

from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot

from app.config import Paths
from app.domain.errors import JournalError
from app.domain.events import Event
from app.store.journal import Journal, JournalReader
from app.ui.feed import Advance, JournalFeed
from tests.ui import blueprint
from tests.ui.desk import TestDesk
from tests.ui.story import Story

FLEET = "feature-x-000000"


def collect(feed: JournalFeed) -> list[Advance]:
    seen: list[Advance] = []
    feed.advanced.connect(seen.append)
    return seen


def catch_up(feed: JournalFeed) -> None:
    feed.poll()
    while not feed.caught_up:
        feed.poll()


def test_a_missing_journal_is_waited_for(qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    feed = JournalFeed(JournalReader(path), FLEET)
    seen = collect(feed)
    feed.start()
    qtbot.wait(80)
    assert seen == []
    story = Story(Journal(path), FLEET)
    story.start()
    qtbot.waitUntil(lambda: bool(feed.board.agents))
    story.journal.close()
    feed.stop()


def test_the_board_is_what_the_facts_say(qtbot: QtBot, paths: Paths) -> None:
    story = Story(Journal(paths.journal_db), FLEET)
    blueprint.to_the_end(story)
    feed = JournalFeed(JournalReader(paths.journal_db), FLEET)
    seen = collect(feed)
    catch_up(feed)
    assert [event for advance in seen for event in advance.events] == story.told
    assert feed.board.ended and feed.board.outcome == "completed"
    assert feed.ended_at == story.told[-1].at
    story.journal.close()
    feed.stop()


def test_other_fleets_are_not_shown(qtbot: QtBot, paths: Paths) -> None:
    journal = Journal(paths.journal_db)
    Story(journal, "another-1", run="other").start()
    feed = JournalFeed(JournalReader(paths.journal_db), FLEET)
    seen = collect(feed)
    catch_up(feed)
    assert seen == [] and not feed.board.agents
    journal.close()
    feed.stop()


def test_a_new_run_begins_afresh(qtbot: QtBot, paths: Paths) -> None:
    story = Story(Journal(paths.journal_db), FLEET)
    blueprint.to_the_end(story)
    story.run = "run-2"
    story.start({"only-agent": "Alone"})
    feed = JournalFeed(JournalReader(paths.journal_db), FLEET)
    seen = collect(feed)
    catch_up(feed)
    assert list(feed.board.agents) == ["only-agent"]
    assert seen[-1].restarted and seen[-1].events == (story.told[-1],)
    assert feed.ended_at is None
    story.journal.close()
    feed.stop()


def test_a_poll_is_short_however_much_waits(qtbot: QtBot, paths: Paths) -> None:
    story = Story(Journal(paths.journal_db), FLEET)
    story.start()
    for number in range(60):
        story.command(blueprint.DEV, 1, f"step {number}", f"line of output {number}\n" * 40, pieces=8)
    ticks = iter(range(10_000_000))
    # Every look at the clock is a millisecond: a poll may look only as often as its budget allows.
    feed = JournalFeed(JournalReader(paths.journal_db), FLEET, timer=lambda: next(ticks) / 1000)
    seen = collect(feed)
    feed.poll()
    assert not feed.caught_up
    assert len(seen[0].events) < len(story.told)
    catch_up(feed)
    assert [event for advance in seen for event in advance.events] == story.told
    story.journal.close()
    feed.stop()


class _Broken:
    """A journal on a disk that fails, then recovers."""

    def __init__(self) -> None:
        self.broken = True

    def changed(self) -> bool:
        if self.broken:
            raise JournalError("disk I/O error")
        return True

    def read(self, after: int = 0, limit: int = 1000) -> list[tuple[int, Event]]:
        return []

    def close(self) -> None:
        pass


def test_trouble_is_told_once_and_taken_back(qtbot: QtBot) -> None:
    facts = _Broken()
    feed = JournalFeed(facts, FLEET)
    told: list[str] = []
    feed.trouble.connect(told.append)
    for _ in range(30):
        feed.poll()
    assert told == ["The journal cannot be read: disk I/O error"]
    facts.broken = False
    for _ in range(30):
        feed.poll()
    assert told[1:] == [""]


def test_the_window_is_empty_before_the_first_run(desk: TestDesk, qtbot: QtBot) -> None:
    desk.open()
    assert desk.window.dashboard.empty.isVisible()
    assert desk.window.dashboard.empty.title == "The agents are not running"
