"""Starts the engine, kills it and its Temporal server as planned, starts it again, and waits until all is quiet."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from temporalio.runtime import Runtime, TelemetryConfig

from app.chaos.diary import Diary, Entry
from app.chaos.ledger import Books, Ledger, read_fates
from app.chaos.plan import Kill, Plan
from app.chaos.user import Desk, User, attending
from app.config import Paths, Project, load_project
from app.domain.envelope import USER
from app.domain.errors import EngineError
from app.domain.ports import Progress
from app.engine.process import engine_info
from app.store.postbox import Postbox

READY_SECONDS = 90.0
PATIENCE_SECONDS = 60.0
"""How long without any progress until the next kill comes all the same."""
QUIET_SECONDS = 180.0
"""How long nothing may happen after the last kill until what is open counts as stuck."""
_LOOK_SECONDS = 0.2


@contextlib.contextmanager
def chaos_home(*, keep: bool = False) -> Iterator[Path]:
    """A folder with a short path that is gone afterwards, unless it is to be kept."""
    home = Path(tempfile.mkdtemp(prefix="skerry-chaos-", dir="/tmp"))  # made private by mkdtemp
    try:
        yield home
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


class Chaos:
    """One run. Through ``desk`` the team is started, and the user does what is theirs."""

    def __init__(self, plan: Plan, home: Path, desk: Desk, progress: Progress) -> None:
        self._plan, self._home, self._desk, self._progress = plan, home, desk, progress
        self._environment = {**os.environ, "SKERRY_HOME": str(home)}
        self._paths = Paths.from_environment(self._environment)
        self._engine: subprocess.Popen[bytes] | None = None
        self._done: list[Kill] = []
        self._began = time.monotonic()

    async def run(self) -> Ledger:
        """The ledger at the end. Raises EngineError when the engine cannot be started."""
        # Temporal's client tells of every killed server at the standard output, where the ledger belongs.
        Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)), error_if_already_set=False)
        self._paths.prepare()
        self._plan.write_project(self._home / "project")
        (self._home / "diaries").mkdir()
        project = load_project(self._home / "project")
        try:
            await self._start(project)
            run = await self._desk.run_fleet(self._paths, project)
            diary = Diary(self._home / "diaries" / USER)
            user = User(self._plan, self._paths, project.fleet_id, run, diary, self._desk)
            async with attending(user, self._paths.journal_db):
                for kill in self._plan.kill_plan():
                    await self._until(kill)
                    await self._kill(kill, project)
                return self._closed(await self._quiet(project, run))
        finally:
            self._end()

    def _closed(self, ledger: Ledger) -> Ledger:
        ledger.kills = len(self._done)
        ledger.kills_of_engine = sum(1 for kill in self._done if kill.target == "engine")
        ledger.kills_of_temporal = ledger.kills - ledger.kills_of_engine
        ledger.seconds = round(self._seconds(), 1)
        return ledger

    async def _start(self, project: Project) -> None:
        self._launch(project)
        until = time.monotonic() + READY_SECONDS
        while engine_info(self._paths) is None:
            if self._engine is None or self._engine.poll() is not None or time.monotonic() > until:
                words = self._paths.engine_log.read_text(errors="replace").strip()[-1000:]
                raise EngineError(f"the engine did not start: {words}", operation="chaos")
            await asyncio.sleep(0.05)

    def _launch(self, project: Project) -> None:
        plan = [str(number) for number in (self._plan.seed, self._plan.messages, self._plan.kills, self._plan.agents)]
        environment = {**self._environment, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        command = [sys.executable, "-m", "app.chaos.engine", str(self._home), project.fleet_id, *plan]
        with self._paths.engine_log.open("ab") as log:
            self._engine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    async def _until(self, kill: Kill) -> None:
        """Until it is time for ``kill``, or nothing goes on any more."""
        told, since = self._told(), time.monotonic()
        while told < kill.after and time.monotonic() - since < PATIENCE_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            if (now := self._told()) != told:
                told, since = now, time.monotonic()
        await asyncio.sleep(kill.delay)

    async def _kill(self, kill: Kill, project: Project) -> None:
        assert self._engine is not None
        self._tell(f"{self._told()} of {self._plan.messages} sent; kill {len(self._done) + 1}: {kill.target}")
        self._done.append(kill)
        if kill.target == "engine":
            self._end()
            await self._start(project)
        else:
            await self._kill_server()

    async def _kill_server(self) -> None:
        """Kill the Temporal server once there is one: the engine starts it again a moment after its end."""
        assert self._engine is not None
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            for pid in _servers(self._engine.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return
            await asyncio.sleep(0.05)
        raise EngineError("the engine has no Temporal server any more", operation="chaos")

    async def _quiet(self, project: Project, run: str) -> Ledger:
        """Wait for the ends of all messages as long as anything moves."""
        postbox = Postbox(self._paths.journal_db)
        try:
            last, since = 0, time.monotonic()
            while True:
                books = Books(self._plan, postbox.of_run(project.fleet_id, run), self._diaries())
                open_ones = len(books.stuck())
                if open_ones != last:
                    last, since = open_ones, time.monotonic()
                    self._tell(f"{open_ones} still open")
                if not open_ones or time.monotonic() - since > QUIET_SECONDS:
                    return books.ledger(read_fates(self._paths.journal_db, project.fleet_id, run))
                await asyncio.sleep(1)
        finally:
            postbox.close()

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _tell(self, words: str) -> None:
        self._progress(f"{self._seconds():.0f} s: {words}")

    def _told(self) -> int:
        return sum(1 for entries in self._diaries().values() for entry in entries if entry.what == "told")

    def _diaries(self) -> dict[str, list[Entry]]:
        return {name: Diary(self._home / "diaries" / name).entries() for name in (*self._plan.names, USER)}

    def _end(self) -> None:
        if self._engine is not None:
            self._engine.kill()
            self._engine.wait()


def _servers(engine: int) -> list[int]:
    """The engine's children that serve and have not ended yet."""
    words = Path(f"/proc/{engine}/task/{engine}/children").read_text().split()
    return [int(word) for word in words if _program(word).endswith(b"temporal")]


def _program(pid: str) -> bytes:
    """Empty for a process that is over."""
    try:
        return (Path("/proc") / pid / "cmdline").read_bytes().split(b"\0", 1)[0]
    except OSError:
        return b""
