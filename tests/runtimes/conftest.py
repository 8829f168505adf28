"""What tests of runtimes get: a sandbox on this host, an observer that remembers, and the tool pack's programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.config import Paths
from app.domain.ports import PermissionAsked, Said, ToolActivity
from tests.runtimes.host import HostSandbox

RECIPE = Path(__file__).parents[2] / "vm_images" / "packs" / "codex"


@dataclass
class Heard:
    """A TurnObserver that keeps all it hears, in order."""

    events: list[Said | ToolActivity | PermissionAsked | str] = field(default_factory=list)
    choose: str | None = None
    """The kind of option that is chosen when the program asks."""

    async def said(self, said: Said) -> None:
        self.events.append(said)

    async def tool(self, activity: ToolActivity) -> None:
        self.events.append(activity)

    async def session_opened(self, session: str) -> None:
        self.events.append(session)

    async def permission(self, asked: PermissionAsked) -> str | None:
        self.events.append(asked)
        return next((option for option, _, kind in asked.options if kind == self.choose), None)

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
def codex_pack() -> Path:
    """The codex pack as a folder: the one named by SKERRY_TEST_CODEX_PACK, or built once from its recipe with npm."""
    named = os.environ.get("SKERRY_TEST_CODEX_PACK")
    if named:
        return Path(named)
    if shutil.which("npm") is None:
        pytest.skip("npm is needed to build the codex tool pack")
    lock = (RECIPE / "package-lock.json").read_bytes() + (RECIPE / "layout.sh").read_bytes()
    pack = Paths.from_environment().images / "tests" / f"codex-{zlib.crc32(lock):08x}"
    if not pack.is_dir():
        staging = pack.with_suffix(f".{os.getpid()}")
        shutil.copytree(RECIPE, staging)
        npm = ["npm", "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]
        subprocess.run(npm, cwd=staging, check=True, capture_output=True)
        subprocess.run(["sh", str(staging / "layout.sh")], cwd=staging, check=True)
        staging.rename(pack)
    return pack
