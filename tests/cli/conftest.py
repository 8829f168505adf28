"""A command line, run in this process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from temporalio.client import Client

from app.cli.main import command_line
from app.config import Paths, load_project
from app.store.journal import Journal
from tests.conftest import WriteProject
from tests.team import Script, Team
from tests.ui.story import Story

PROJECT = """
project: {name: feature-x}
agents:
  - {id: dev-agent, type: codex, direct_communication: [test-agent]}
  - {id: test-agent, type: codex}
  - {id: product-owner-agent, type: codex}
"""


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str

    def complained(self, status: int, *words: str) -> bool:
        """It ended with ``status``, one sentence and a remedy that hold all ``words``, and nothing on stdout."""
        lines = self.stderr.splitlines()
        shape = self.stdout == "" and [line.split(":")[0] for line in lines] == ["error", "remedy"]
        return shape and self.returncode == status and all(word in self.stderr for word in words)


Skerry = Callable[..., Done]


@pytest.fixture
def story(paths: Paths, write_project: WriteProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A journal to tell facts to; the working folder is the project they are about."""
    folder = write_project(PROJECT)
    monkeypatch.chdir(folder)
    journal = Journal(paths.journal_db)
    yield Story(journal, load_project(folder).fleet_id, begin=datetime.now(UTC))
    journal.close()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the output a terminal of so many columns, without colours."""

    def be(columns: int) -> None:
        for name, value in {"TTY_COMPATIBLE": "1", "TERM": "dumb", "COLUMNS": str(columns), "LINES": "40"}.items():
            monkeypatch.setenv(name, value)

    return be


@pytest.fixture
def skerry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Skerry:
    """Run a command line in this process."""

    def run(*arguments: str, cwd: Path | None = None) -> Done:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["skerry", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line()
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return run


AtWork = Callable[[Script], AbstractAsyncContextManager["Desk"]]


class Desk:
    """A team at work, and a person at the command line in its project's folder."""

    def __init__(self, team: Team, skerry: Skerry) -> None:
        self.team = team
        self._skerry = skerry

    async def type(self, *arguments: str) -> Done:
        """Run a command line, while the team goes on."""
        return await asyncio.to_thread(self._skerry, *arguments, cwd=self.team.project.root)


@pytest.fixture
def at_work(paths: Paths, shared_temporal: Client, skerry: Skerry) -> AtWork:
    """Put a team of alice and bob to work; what they do is a script."""

    @asynccontextmanager
    async def begin(script: Script) -> AsyncIterator[Desk]:
        async with Team(paths, shared_temporal, script, replay=False) as team:
            with team.announced():
                yield Desk(team, skerry)

    return begin
