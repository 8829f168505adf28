"""The repository's own team in a folder of its own, run by the real command line on the real parts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.config import Paths, load_project
from app.control import engine_info, read_board
from app.domain import events as ev
from app.domain.board import Board
from app.domain.events import Event
from app.engine.instance import lock_holder
from app.store.journal import JournalReader

ROOT = Path(__file__).resolve().parents[2]
REHEARSAL = ("run", "--headless", "--rehearse", "--until-idle", "--answer-default")
RUN_SECONDS = 600


class TeamOnDisk:
    """A project's team with empty memories and workspaces, the blueprint's unless told otherwise."""

    def __init__(self, folder: Path, paths: Paths, project: Path = ROOT, *, agent_type: str = "codex") -> None:
        self.folder = folder
        self.paths = paths
        plan = (project / "agents.yaml").read_text("utf-8")
        (folder / "agents.yaml").write_text(plan.replace("type: codex", f"type: {agent_type}"), "utf-8")
        for rules in (project / "agents").glob("*/rules.md"):
            target = folder / rules.relative_to(project)
            target.parent.mkdir(parents=True)
            shutil.copy(rules, target)
        self.fleet = load_project(folder).fleet_id

    def skerry(self, *arguments: str, seconds: float = RUN_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line to its end."""
        return subprocess.run(
            _command(*arguments),
            check=False,
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the command line."""
        return subprocess.Popen(
            _command(*arguments),
            cwd=self.folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def json(self, *arguments: str) -> Any:
        """What a command says to programs."""
        done = self.skerry(*arguments, "--json", seconds=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def board(self) -> Board:
        """The newest run's board."""
        return read_board(self.paths, self.fleet)

    def facts(self) -> list[Event]:
        """All facts of the newest run."""
        reader, run = JournalReader(self.paths.journal_db), self.board().run
        try:
            return [event for _, event in reader.read(limit=1_000_000) if event.run == run]
        finally:
            reader.close()

    def until(self, holds: Callable[[], bool], seconds: float = 240) -> None:
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.story()
            time.sleep(0.1)

    def engine_pid(self) -> int:
        """The engine's process id, or 0."""
        info = engine_info(self.paths)
        return 0 if info is None else info.pid

    def story(self) -> str:
        """What happened, for a failed assertion."""
        log = self.paths.engine_log
        words = log.read_text()[-4000:] if log.exists() else ""
        return "\n".join(str(event)[:300] for event in self.facts()[-25:]) + "\n" + words

    def assert_the_story_was_told(self) -> None:
        """The outcome the blueprint's rehearsal promises, read from what the user has: files and commands."""
        status = self.json("status")
        assert [agent["state"] for agent in status["agents"]] == ["completed"] * 3, self.story()
        messages = self.json("messages")["messages"]
        assert len(messages) == 7
        answered = {message["reply_to"] for message in messages} - {None}
        for message in messages:
            assert message["state"] == ("answered" if message["id"] in answered else "read"), message
        module = self.folder / "agents/dev-agent/sandbox/duration.py"
        assert "def parse" in module.read_text()
        result = (self.folder / "agents/test-agent/sandbox/result.txt").read_text()
        assert "OK" in result
        for agent in status["agents"]:
            notes = (self.folder / f"agents/{agent['id']}/memory.md").read_text()
            assert notes.count("\n") >= 3, notes
        assert not self.machines_left(), "machines outlive their agents"

    def assert_nothing_happened_twice(self) -> None:
        """No command of the scenario ran twice, no message was sent twice, no question asked twice."""
        facts = self.facts()
        commands = [
            (event.agent, event.command) for event in facts if isinstance(event, ev.ToolStarted) and event.command
        ]
        assert len(set(commands)) == len(commands), commands
        sent = [event.envelope for event in facts if isinstance(event, ev.MessageAccepted)]
        assert len({(item.sender, item.recipient, item.body) for item in sent}) == len(sent) == 7
        asked = [event.interrupt.title for event in facts if isinstance(event, ev.InterruptRaised)]
        assert len(set(asked)) == len(asked) == 2, asked
        notes = [(event.agent, event.text) for event in facts if isinstance(event, ev.MemoryWritten)]
        assert len(set(notes)) == len(notes), notes

    def machines_left(self) -> list[int]:
        """Process ids of this team's QEMUs."""
        found: list[int] = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f"guest={self.fleet}." in line:
                found.append(int(entry.parent.name))
        return found


@contextmanager
def cleared(team: TeamOnDisk) -> Iterator[TeamOnDisk]:
    """The team; engine and machines are gone afterwards, whatever the test left."""
    try:
        yield team
    finally:
        if engine_info(team.paths) is not None:
            team.skerry("stop", "--team", seconds=60)
            end = time.monotonic() + 60
            while not team.board().outcome and time.monotonic() < end:
                time.sleep(0.2)
        team.skerry("stop", seconds=90)
        for pid in (lock_holder(team.paths.engine_lock), *team.machines_left()):
            if pid:
                os.kill(pid, signal.SIGKILL)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "app", *arguments]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}
