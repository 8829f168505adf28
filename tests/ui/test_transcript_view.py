"""The transcript's widget: bounded, quick, and still where the user reads."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.config import Paths
from app.ui.console.ansi import AnsiParser
from app.ui.console.entries import Entry, EntryKind, Piece, Role, piece
from app.ui.console.view import MAX_BLOCKS, TranscriptView
from app.ui.theme import Theme, ThemeChoice
from tests.ui.story import BEGIN

pytestmark = pytest.mark.gui


@pytest.fixture
def view(qapp: QApplication, qtbot: QtBot, paths: Paths) -> Iterator[TranscriptView]:
    view = TranscriptView(Theme(qapp, paths.icons, ThemeChoice.DARK))
    qtbot.addWidget(view)
    view.resize(700, 400)
    view.show()
    qtbot.waitExposed(view)
    yield view


def command(text: str, title: str = "$ make") -> list[Piece]:
    entry = Entry(EntryKind.COMMAND, BEGIN)
    return [piece(entry, Role.HEAD, title), Piece(entry, Role.OUTPUT, tuple(AnsiParser().feed(text)))]


def show(view: TranscriptView, qtbot: QtBot, pieces: list[Piece]) -> None:
    view.append(pieces)
    qtbot.waitUntil(lambda: view.idle, timeout=20_000)


def shown(view: TranscriptView) -> list[str]:
    """The visible lines, gaps left out."""
    lines, block = [], view.document().firstBlock()
    while block.isValid():
        if block.isVisible() and view.ledger.entry(block) is not None:
            lines.append(block.text())
        block = block.next()
    return lines


def follows(view: TranscriptView) -> bool:
    return view.following


def test_lines_and_colours(view: TranscriptView, qtbot: QtBot) -> None:
    show(view, qtbot, command("\x1b[31mred\x1b[0m plain\nnext\n"))
    assert shown(view) == ["$ make", "red plain", "next"]


def test_a_line_that_is_written_over(view: TranscriptView, qtbot: QtBot) -> None:
    show(view, qtbot, command("start\n10%\r50%\r100%\nend"))
    assert shown(view) == ["$ make", "start", "100%", "end"]


def test_output_goes_on_in_its_line(view: TranscriptView, qtbot: QtBot) -> None:
    entry = Entry(EntryKind.COMMAND, BEGIN)
    show(view, qtbot, [piece(entry, Role.HEAD, "$ x"), piece(entry, Role.OUTPUT, "one ")])
    show(view, qtbot, [piece(entry, Role.OUTPUT, "line\n", fresh=False), piece(entry, Role.OUTPUT, "two", fresh=False)])
    show(view, qtbot, [piece(entry, Role.END, "exit 0")])
    assert shown(view) == ["$ x", "one line", "two", "exit 0"]


def test_folded_text_is_hidden_until_asked_for(view: TranscriptView, qtbot: QtBot) -> None:
    entry = Entry(EntryKind.PROMPT, BEGIN, folds=True, folded=True)
    show(view, qtbot, [piece(entry, Role.HEAD, "Prompt"), piece(entry, Role.BODY, "one\ntwo")])
    show(view, qtbot, command("out"))
    assert shown(view) == ["Prompt", "$ make", "out"]
    head = view.document().findBlockByNumber(1)
    place = view.blockBoundingGeometry(head).translated(view.contentOffset()).center().toPoint()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(60, place.y()))
    assert shown(view) == ["Prompt", "one", "two", "$ make", "out"]
    view.setTextCursor(view.cursorForPosition(QPoint(60, place.y())))
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert shown(view) == ["Prompt", "$ make", "out"]
    view.grab()


def test_unfolding_a_command_leaves_its_output_where_it_is(view: TranscriptView, qtbot: QtBot) -> None:
    entry = Entry(EntryKind.COMMAND, BEGIN, folds=True, folded=True)
    show(
        view, qtbot, [piece(entry, Role.HEAD, "$ cat"), piece(entry, Role.BODY, "a"), piece(entry, Role.OUTPUT, "out")]
    )
    assert shown(view) == ["$ cat", "out"]
    assert view.toggle(view.document().findBlockByNumber(1))
    assert shown(view) == ["$ cat", "a", "out"]
    assert view.toggle(view.document().findBlockByNumber(1))
    assert shown(view) == ["$ cat", "out"]
    view.grab()


def test_it_follows_the_end_until_the_user_scrolls_up(view: TranscriptView, qtbot: QtBot) -> None:
    bar = view.verticalScrollBar()
    show(view, qtbot, command("\n".join(f"line {number}" for number in range(200))))
    assert follows(view) and bar.value() == bar.maximum()
    bar.setValue(40)
    assert not follows(view)
    top = view.firstVisibleBlock().text()
    show(view, qtbot, command("\n".join(f"more {number}" for number in range(200))))
    assert view.firstVisibleBlock().text() == top and bar.value() == 40
    with qtbot.waitSignal(view.following_changed):
        bar.setValue(bar.maximum())
    show(view, qtbot, command("the newest line"))
    assert follows(view) and bar.value() == bar.maximum()


def test_what_falls_off_the_top_does_not_move_what_is_read(view: TranscriptView, qtbot: QtBot) -> None:
    show(view, qtbot, command("\n".join(f"line {number}" for number in range(MAX_BLOCKS - 10))))
    assert view.document().blockCount() == MAX_BLOCKS - 8
    view.verticalScrollBar().setValue(2000)
    top = view.firstVisibleBlock().text()
    show(view, qtbot, command("\n".join(f"more {number}" for number in range(600))))
    assert view.document().blockCount() == MAX_BLOCKS
    assert view.firstVisibleBlock().text() == top
    assert not view.following


def test_long_output_never_stops_the_window(view: TranscriptView, qtbot: QtBot) -> None:
    text = "x" * 300_000 + "\n" + "\n".join(f"\x1b[3{number % 8}mline {number}" for number in range(20_000))
    view.append(command(text))
    frames: list[float] = []
    while not view.idle:
        begin = time.thread_time()
        view.flush()
        frames.append(time.thread_time() - begin)
    assert view.document().blockCount() == MAX_BLOCKS
    assert shown(view)[-1] == "line 19999"
    # The budget is 4 ms, one small part, and the layout of what is in sight.
    assert sorted(frames)[len(frames) * 9 // 10] < 0.02


def test_a_hidden_transcript_waits(view: TranscriptView, qtbot: QtBot) -> None:
    view.hide()
    view.append(command("later"))
    qtbot.wait(60)
    assert not view.idle
    view.show()
    qtbot.waitUntil(lambda: view.idle)
    assert shown(view) == ["$ make", "later"]
