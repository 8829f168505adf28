from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Paths
from app.control import engine_info
from app.engine.instance import lock_holder
from tests.e2e.team_on_disk import TeamOnDisk


@pytest.fixture
def team(tmp_path: Path, paths: Paths) -> Iterator[TeamOnDisk]:
    """The blueprint's team; engine and machines are gone afterwards, whatever the test left."""
    team = TeamOnDisk(tmp_path, paths)
    yield team
    if engine_info(paths) is not None:
        team.skerry("stop", "--team", seconds=60)
        end = time.monotonic() + 60
        while not team.board().outcome and time.monotonic() < end:
            time.sleep(0.2)
    team.skerry("stop", seconds=90)
    for pid in (lock_holder(paths.engine_lock), *team.machines_left()):
        if pid:
            os.kill(pid, signal.SIGKILL)
