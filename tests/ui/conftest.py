"""A window for each test, over a journal of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.config import Paths
from app.ui.theme import ThemeChoice
from app.ui.typography import base_font
from tests.ui.desk import TestDesk


@pytest.fixture
def desk(qapp: QApplication, qtbot: QtBot, paths: Paths, tmp_path: Path) -> Iterator[TestDesk]:
    """A window that is composed but not shown."""
    qapp.setFont(base_font())
    desk = TestDesk(qapp, paths, tmp_path / "project", ThemeChoice.LIGHT)
    yield desk
    desk.close()
