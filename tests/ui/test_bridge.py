"""Coroutines run beside the window; their ends come back into its thread."""

from __future__ import annotations

import asyncio
import threading

from pytestqt.qtbot import QtBot

from app.domain.errors import NotFound, SkerryError
from app.ui.bridge import Bridge


def test_a_result_comes_back_in_the_window_thread(qtbot: QtBot) -> None:
    bridge = Bridge()
    heard: list[object] = []

    async def work() -> str:
        return threading.current_thread().name

    def done(name: str) -> None:
        heard.append((name, threading.current_thread() is threading.main_thread()))

    bridge.submit(work(), done)
    qtbot.waitUntil(lambda: bool(heard))
    assert heard == [("skerry-ui-asyncio", True)]
    bridge.close()


def test_errors_come_back_as_errors_for_people(qtbot: QtBot) -> None:
    bridge = Bridge()
    heard: list[SkerryError] = []

    async def refused() -> None:
        raise NotFound("there is no such agent", hint="see the list")

    async def broken() -> None:
        raise ValueError("a mistake of ours")

    bridge.submit(refused(), None, heard.append)
    qtbot.waitUntil(lambda: len(heard) == 1)
    bridge.submit(broken(), None, heard.append)
    qtbot.waitUntil(lambda: len(heard) == 2)
    assert isinstance(heard[0], NotFound)
    assert str(heard[1]) == "ValueError: a mistake of ours (the log has the details)"
    bridge.close()


def test_closing_cancels_what_runs_and_says_goodbye(qtbot: QtBot) -> None:
    bridge = Bridge()
    heard: list[str] = []

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    async def farewell() -> None:
        heard.append("farewell")

    bridge.submit(long(), lambda _none: heard.append("done"), lambda _error: heard.append("error"))
    qtbot.wait(50)
    bridge.close(farewell)
    bridge.close(farewell)
    qtbot.wait(20)
    assert heard == ["cancelled", "farewell"]


def test_progress_is_told_across_threads(qtbot: QtBot) -> None:
    bridge = Bridge()
    with qtbot.waitSignal(bridge.told) as told:
        threading.Thread(target=bridge.tell, args=("building…",)).start()
    assert told.args == ["building…"]
    bridge.close()
