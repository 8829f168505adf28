from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Paths
from tests.e2e.team_on_disk import TeamOnDisk, cleared


@pytest.fixture
def team(tmp_path: Path, paths: Paths) -> Iterator[TeamOnDisk]:
    """The blueprint's team; engine and machines are gone afterwards, whatever the test left."""
    with cleared(TeamOnDisk(tmp_path, paths)) as team:
        yield team


@pytest.fixture
def screen() -> Iterator[str]:
    """A virtual screen of our own; gives its DISPLAY."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as numbers:
        number = numbers.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)
