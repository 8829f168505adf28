"""The ways to meet a question: answer it, give new instructions instead, or call it off."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QRadioButton, QVBoxLayout, QWidget

from app.domain.interrupt import Answer
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button


class Way(StrEnum):
    """What the answer does."""

    ANSWER = "answer"
    INSTRUCT = "instruct"
    CANCEL = "cancel"


_WORDS = {
    Way.ANSWER: ("Answer", "Let it go on with your answer (A)"),
    Way.INSTRUCT: ("New instructions", "Tell it to do something else (N)"),
    Way.CANCEL: ("Cancel…", "End its task, or the agent (C)"),
}


class WayChoice(QWidget):
    """Three buttons, and for two of them what exactly is meant. ``changed`` says that something was chosen."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.way = Way.ANSWER
        self._ways = {way: self._way_button(way) for way in Way}
        self._amend = _choice("interrupt-amend", "Beside the instructions it has")
        self._replace = _choice("interrupt-replace", "Instead of the instructions it has")
        self._task = _choice("interrupt-cancel-task", "Cancel the task: it drops it, and waits")
        self._agent = _choice("interrupt-cancel-agent", "Stop the agent: its disk, memory and inbox stay")
        self._details = {Way.INSTRUCT: (self._amend, self._replace), Way.CANCEL: (self._task, self._agent)}
        self._lay_out()
        self.begin()

    @property
    def mode(self) -> Literal["amend", "replace"]:
        """Whether new instructions go along with those it has, or stand instead."""
        return "replace" if self._replace.isChecked() else "amend"

    @property
    def scope(self) -> Literal["agent", "task"]:
        """What is called off."""
        return "agent" if self._agent.isChecked() else "task"

    def begin(self) -> None:
        """For another question: the plain answer, and the milder of each two."""
        self._amend.setChecked(True)
        self._task.setChecked(True)
        self.choose(Way.ANSWER)

    def choose(self, way: Way) -> None:
        """Take a way."""
        self.way = way
        for one, made in self._ways.items():
            made.setChecked(one is way)
        for one, parts in self._details.items():
            for part in parts:
                part.setVisible(one is way)
        if way is Way.CANCEL and self.isVisible():
            # Else the focus falls from the hidden text to Send, and a stray key would call something off.
            (self._agent if self._agent.isChecked() else self._task).setFocus()
        self.changed.emit()

    def answer(self, text: str) -> Answer | None:
        """What goes out for new instructions or an end; None as long as the instructions are empty."""
        if self.way is Way.CANCEL:
            return Answer(action="cancel", scope=self.scope)
        return Answer(action="modify", text=text, mode=self.mode) if text else None

    def send_words(self) -> str:
        """What the Send button says for these."""
        if self.way is Way.INSTRUCT:
            return "Replace instructions" if self.mode == "replace" else "Give instructions"
        return "Stop the agent" if self.scope == "agent" else "Cancel the task"

    def _way_button(self, way: Way) -> QPushButton:
        words, tip = _WORDS[way]
        made = button(words, f"interrupt-way-{way.value}", kind="segment", tip=tip)
        made.setCheckable(True)
        made.clicked.connect(lambda: self.choose(way))
        return made

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(SPACE // 2)
        for made in self._ways.values():
            row.addWidget(made)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE // 2)
        column.addLayout(row)
        column.addSpacing(SPACE // 2)
        for parts in self._details.values():
            group = QButtonGroup(self)
            for part in parts:
                group.addButton(part)
                column.addWidget(part)
                part.toggled.connect(self.changed)


def _choice(name: str, words: str) -> QRadioButton:
    made = QRadioButton(words)
    made.setObjectName(name)
    return made
