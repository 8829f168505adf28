"""What tests of runtimes get: a sandbox on this host, an observer that remembers, and the tool pack's programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.config import Paths
from app.domain.forms import FormAsked, Value
from app.domain.ports import PermissionAsked, PermissionGiven, Said, ToolActivity
from app.sandbox.packs import PackBuilder
from tests.runtimes.host import HostSandbox


@dataclass
class Heard:
    """A TurnObserver that keeps all it hears, in order."""

    events: list[Said | ToolActivity | PermissionAsked | str] = field(default_factory=list)
    choose: str | None = "allow_once"
    """The kind of option that is chosen when the program asks."""
    told: str = ""
    forms: list[FormAsked] = field(default_factory=list)
    values: Mapping[str, Value] | None = None
    """What is filled in, whatever the form."""
    """What the agent is told of a refusal."""

    async def said(self, said: Said) -> None:
        self.events.append(said)

    async def tool(self, activity: ToolActivity) -> None:
        self.events.append(activity)

    async def session_opened(self, session: str) -> None:
        self.events.append(session)

    async def permission(self, asked: PermissionAsked) -> PermissionGiven:
        self.events.append(asked)
        option = next((option for option, _, kind in asked.options if kind == self.choose), None)
        return PermissionGiven(option, self.told)

    async def form(self, asked: FormAsked) -> Mapping[str, Value] | None:
        self.forms.append(asked)
        return self.values

    @property
    def words(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Said) and not event.thought)

    @property
    def thoughts(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Said) and event.thought)

    @property
    def tools(self) -> dict[str, ToolActivity]:
        """The last report of each tool call."""
        return {event.call_id: event for event in self.events if isinstance(event, ToolActivity)}

    @property
    def sessions(self) -> list[str]:
        return [event for event in self.events if isinstance(event, str)]

    @property
    def asked(self) -> list[PermissionAsked]:
        return [event for event in self.events if isinstance(event, PermissionAsked)]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[HostSandbox]:
    sandbox = HostSandbox(tmp_path / "machine")
    yield sandbox
    await sandbox.close()


@pytest.fixture(scope="session")
def codex_pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The codex pack as a folder of this host."""
    with unpacked("codex", tmp_path_factory) as folder:
        yield folder


@pytest.fixture(scope="session")
def claude_pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The claude-code pack as a folder of this host."""
    with unpacked("claude-code", tmp_path_factory) as folder:
        yield folder


@contextlib.contextmanager
def unpacked(pack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is on the disk that the machines see, which is built when it is missing. The variable names another one."""
    named = os.environ.get(f"SKERRY_TEST_{pack.partition('-')[0].upper()}_PACK")
    if named:
        yield Path(named)
        return
    paths = Paths.from_environment()
    disk = PackBuilder(paths.images, paths.packs).ensure(pack, print).disk
    folder = tmp_path_factory.mktemp("pack")
    debugfs = shutil.which("debugfs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert debugfs is not None, "e2fsprogs is missing"
    subprocess.run([debugfs, "-R", f"rdump / {folder}", str(disk)], check=True, capture_output=True)
    yield folder
    shutil.rmtree(folder)
