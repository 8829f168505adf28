from __future__ import annotations

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
