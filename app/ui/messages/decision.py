"""Decide about a message that waits for the user, with the options of its own interrupt."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from app.domain.errors import SkerryError
from app.domain.interrupt import Answer, Interrupt
from app.domain.text import printable
from app.ui.fleet_actions import FleetActions, Link
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button
from app.ui.widgets.labels import label
from app.ui.wording import refusal_words


class Decision(QFrame):
    """Hidden while there is nothing to decide. An answer is given once: the buttons rest until it has arrived."""

    def __init__(self, actions: FleetActions) -> None:
        super().__init__()
        self.setObjectName("held-message")
        self._actions = actions
        self._interrupt: Interrupt | None = None
        self._sending: set[str] = set()
        self._errors: dict[str, str] = {}
        self._buttons: list[QPushButton] = []
        self._title = label(bold=True, wrap=True)
        self._status = label(tone="danger", scale=0.9, wrap=True)
        self._status.setObjectName("decision-status")
        self._row = QHBoxLayout()
        self._lay_out()
        actions.link_changed.connect(self._link_changed)
        self.hide()

    def show_interrupt(self, interrupt: Interrupt | None) -> None:
        """Offer an open interrupt's options, or nothing."""
        before, self._interrupt = self._interrupt, interrupt
        self.setVisible(interrupt is not None)
        if interrupt is None:
            return
        if before is None or before.id != interrupt.id:
            self._title.setText(printable(interrupt.title))
            self._make_buttons(interrupt)
        self._refresh()

    def _make_buttons(self, interrupt: Interrupt) -> None:
        for old in self._buttons:
            old.hide()
            self._row.removeWidget(old)
            old.deleteLater()
        self._buttons = [self._button(number, option) for number, option in enumerate(interrupt.options)]
        for place, made in enumerate(self._buttons):
            self._row.insertWidget(place, made)

    def _button(self, number: int, option: str) -> QPushButton:
        shown = printable(option)
        made = button(shown.replace("&", "&&"), f"decision-{number}", tip="Answer with this")
        made.setAccessibleName(f"Answer: {shown}")
        made.clicked.connect(lambda _checked=False: self._answer(option))
        return made

    def _answer(self, option: str) -> None:
        item = self._interrupt
        if item is None or item.id in self._sending:
            return
        self._sending.add(item.id)
        self._errors.pop(item.id, None)
        self._refresh()

        def failed(error: SkerryError) -> None:
            self._sending.discard(item.id)
            self._errors[item.id] = refusal_words(error)
            self._refresh()

        # Once it has arrived the interrupt is settled, and the fact of that takes this form away.
        self._actions.answer(item.id, Answer(option=option), lambda: None, failed)

    def _link_changed(self) -> None:
        if self._actions.link is Link.LOST:
            self._sending.clear()  # it may be given again, and counts once
        self._refresh()

    def _refresh(self) -> None:
        if self._interrupt is None:
            return
        ready = self._actions.ready and self._interrupt.id not in self._sending
        for made in self._buttons:
            made.setEnabled(ready)
        error = self._errors.get(self._interrupt.id, "")
        self._status.setText(printable(error))
        self._status.setVisible(bool(error))

    def _lay_out(self) -> None:
        self._row.setSpacing(SPACE)
        self._row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(int(1.5 * SPACE), SPACE, int(1.5 * SPACE), int(1.5 * SPACE))
        layout.setSpacing(SPACE)
        layout.addWidget(self._title)
        layout.addLayout(self._row)
        layout.addWidget(self._status)
