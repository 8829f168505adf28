"""What an order asks before it is given: new instructions, a time, or whether it is meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QInputDialog,
    QMessageBox,
    QPlainTextEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from app.domain.blanket import MAX_APPROVE_ALL
from app.domain.text import printable
from app.ui.typography import SPACE, base_font
from app.ui.widgets.buttons import button
from app.ui.widgets.labels import label

_MINUTE = 60


class InstructDialog(QDialog):
    """``instructed`` carries the text and whether it goes along (``amend``) or instead (``replace``)."""

    instructed = Signal(str, str)

    def __init__(self, whose: str, present: str, parent: QWidget) -> None:
        """``present`` is what the agent has been told so far, by agents.yaml and since."""
        super().__init__(parent)
        self.setObjectName("instruct-dialog")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Instructions of {whose}")
        self._present = QPlainTextEdit(printable(present) or "(none)")
        self._text = QPlainTextEdit()
        self._amend = QRadioButton("Beside those it has")
        self._replace = QRadioButton("Instead of those it has")
        self._give = button("Give instructions", "instruct-give", kind="primary", tip="Ctrl+Enter")
        self._cancel = button("Cancel", "instruct-cancel")
        self._lay_out()
        self._text.textChanged.connect(self._refresh)
        self._give.clicked.connect(self._done)
        self._cancel.clicked.connect(self.reject)
        for keys in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(keys), self, self._done)
        self._refresh()
        self._text.setFocus()

    @property
    def mode(self) -> Literal["amend", "replace"]:
        """Beside, or instead."""
        return "replace" if self._replace.isChecked() else "amend"

    def _done(self) -> None:
        text = self._text.toPlainText().strip()
        if text:
            self.instructed.emit(text, self.mode)
            self.accept()

    def _refresh(self) -> None:
        self._give.setEnabled(bool(self._text.toPlainText().strip()))

    def _lay_out(self) -> None:
        self.resize(70 * SPACE, 54 * SPACE)
        for part, name, spoken in (
            (self._present, "instruct-present", "The instructions it has now"),
            (self._text, "instruct-text", "New instructions"),
        ):
            part.setObjectName(name)
            part.setProperty("role", "editor")
            part.setAccessibleName(spoken)
            part.setFont(base_font())
            part.setTabChangesFocus(True)
        self._present.setReadOnly(True)
        self._present.setProperty("look", "quiet")
        self._text.setPlaceholderText("What to do from now on; the next turn begins with it")
        self._amend.setObjectName("instruct-amend")
        self._replace.setObjectName("instruct-replace")
        self._amend.setChecked(True)
        self._give.setDefault(True)
        self._fill()

    def _fill(self) -> None:
        ways = QHBoxLayout()
        ways.setSpacing(2 * SPACE)
        for way in (self._amend, self._replace):
            ways.addWidget(way)
        ways.addStretch(1)
        ends = QHBoxLayout()
        ends.setSpacing(SPACE)
        ends.addStretch(1)
        ends.addWidget(self._cancel)
        ends.addWidget(self._give)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * SPACE, 2 * SPACE, 3 * SPACE, 2 * SPACE)
        column.setSpacing(SPACE)
        column.addWidget(label("What it has been told", tone="muted", scale=0.92))
        column.addWidget(self._present, 3)
        column.addWidget(label("New instructions", tone="muted", scale=0.92))
        column.addWidget(self._text, 2)
        column.addLayout(ways)
        column.addSpacing(SPACE)
        column.addLayout(ends)


def confirm(parent: QWidget, name: str, question: str, consequence: str, verb: str, then: Callable[[], None]) -> None:
    """Ask before what cannot be undone; Enter and Escape both leave everything as it is."""
    box = QMessageBox(QMessageBox.Icon.NoIcon, "Skerry", question, parent=parent)
    box.setObjectName(name)
    box.setInformativeText(consequence)
    yes = box.addButton(verb, QMessageBox.ButtonRole.DestructiveRole)
    no = box.addButton(QMessageBox.StandardButton.Cancel)
    yes.setObjectName(f"{name}-yes")
    no.setObjectName(f"{name}-no")
    box.setDefaultButton(no)
    box.setEscapeButton(no)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.buttonClicked.connect(lambda clicked: then() if clicked is yes else None)
    box.open()


def ask_minutes(parent: QWidget, whose: str, then: Callable[[timedelta], None]) -> None:
    """For how long everything is approved."""
    dialog = QInputDialog(parent)
    dialog.setObjectName("approve-minutes")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setWindowTitle("Approve everything")
    dialog.setLabelText(f"Minutes to approve everything of {whose}")
    dialog.setInputMode(QInputDialog.InputMode.IntInput)
    dialog.setIntRange(1, int(MAX_APPROVE_ALL.total_seconds()) // _MINUTE)
    dialog.setIntValue(10)
    dialog.setOkButtonText("Approve")
    dialog.intValueSelected.connect(lambda minutes: then(timedelta(minutes=minutes)))
    dialog.open()
