"""A window for each test, over a journal of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.config import Paths
from app.ui.theme import ThemeChoice
from app.ui.typography import base_font
from tests.ui.desk import TestDesk


@pytest.fixture(autouse=True)
def clean_screen(qapp: QApplication) -> Iterator[None]:
    """Windows of one test are gone before the next: a style sheet is applied to all that are left."""
    yield
    for widget in qapp.topLevelWidgets():
        widget.close()
        widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@pytest.fixture
def desk(qapp: QApplication, qtbot: QtBot, paths: Paths, tmp_path: Path) -> Iterator[TestDesk]:
    """A window that is composed but not shown."""
    qapp.setFont(base_font())
    desk = TestDesk(qapp, paths, tmp_path / "project", ThemeChoice.LIGHT)
    yield desk
    desk.close()
