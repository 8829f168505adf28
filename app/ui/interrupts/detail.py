"""One interrupt whole, and its answer: given here, or shown once it was given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.domain.errors import SkerryError
from app.domain.interrupt import Answer, Exhibit, Interrupt, InterruptState
from app.domain.text import printable
from app.ui.fleet_actions import FleetActions, Link
from app.ui.interrupts.answering import AnswerForm
from app.ui.interrupts.delegate import kind_tone
from app.ui.interrupts.ways import Way
from app.ui.theme import Theme
from app.ui.typography import SPACE
from app.ui.widgets.buttons import button
from app.ui.widgets.chips import Chip
from app.ui.widgets.labels import ElidedLabel, label, selectable, style_label
from app.ui.wording import about_words, date_and_time, duration, outcome_words, refusal_words, wants_answer

_MAX_WIDTH = 90 * SPACE
_BY = {
    "default": "Taken by default",
    "file": "Answered from a file",
    "approve-all": "Given, as everything was approved",
}


class InterruptDetail(QWidget):
    """``console_wanted`` asks for the console of the agent that waits."""

    console_wanted = Signal(str)

    def __init__(self, theme: Theme, actions: FleetActions, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("content")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._theme = theme
        self._actions = actions
        self._now = now
        self._shown: Interrupt | None = None
        self._sending: set[str] = set()
        self._errors: dict[str, str] = {}
        self._title = selectable(label(scale=1.35, bold=True, wrap=True))
        self._chip = Chip()
        self._when = ElidedLabel()
        style_label(self._when, tone="muted")
        self._console = button("Console", "interrupt-console", kind="link", tip="What led to this")
        self._body = selectable(label(wrap=True))
        self._held = selectable(label(wrap=True))
        self._held_caption = label(tone="faint", scale=0.9)
        self._exhibits = selectable(label(wrap=True))
        self._together = QCheckBox()
        self._alike = 1
        self.form = AnswerForm()
        self._settled_caption = label("Your answer", tone="faint", scale=0.9)
        self._settled = selectable(label(scale=1.1, wrap=True))
        self._status = label(tone="muted", wrap=True)
        self._error = label(tone="danger", wrap=True)
        self._lay_out()
        self.form.answered.connect(self._give)
        self.form.ways.changed.connect(self._show_together)
        self._console.clicked.connect(self._want_console)
        actions.link_changed.connect(self._link_changed)
        theme.changed.connect(self.refresh)

    @property
    def shown(self) -> Interrupt | None:
        """What is shown."""
        return self._shown

    def show_interrupt(self, interrupt: Interrupt | None, held: str = "") -> None:
        """Show an interrupt, and the text of the message that it holds back, if it does.

        What was typed for it stays when only its facts changed.
        """
        before, self._shown = self._shown, interrupt
        if interrupt is None:
            return
        self._say_too_late(before, interrupt)
        if before is None or before.id != interrupt.id:
            self._title.setText(printable(interrupt.title))
            self._body.setText(printable(interrupt.body))
            self._body.setVisible(bool(interrupt.body.strip()))
            self._held.setText(printable(held))
            self._held_box.setVisible(bool(held.strip()))
            self._exhibits.setText("\n\n".join(_exhibit(item) for item in interrupt.exhibits))
            self._exhibits.setVisible(bool(interrupt.exhibits))
            self._together.setChecked(False)
            self.form.ask(interrupt)
            self._area.verticalScrollBar().setValue(0)
        self.refresh()

    def show_alike(self, count: int) -> None:
        """How many open ones may be answered together with the one shown, itself included."""
        self._alike = count
        self._together.setText(f"Answer all {count} like this one")
        self.refresh()

    def toggle_alike(self) -> None:
        """Answer those like it as well, or only this one."""
        if self._together.isVisible() and self._together.isEnabled():
            self._together.toggle()

    def refresh(self) -> None:
        """Bring age, state and the answer up to date."""
        item = self._shown
        if item is None:
            return
        is_open = item.state is InterruptState.OPEN
        tone = kind_tone(self._theme.tokens, item) if is_open else self._theme.tokens.neutral
        self._chip.show_state(about_words(item), tone)
        self._when.setText(f"{item.agent} · {self._age(item)}")
        self.form.setVisible(is_open)
        self.form.set_enabled(is_open and self._actions.ready and item.id not in self._sending)
        self._together.setVisible(is_open and self._alike > 1)
        self._show_together()
        self._settled_box.setVisible(not is_open)
        self._held_caption.setText("The message that waits" if is_open else "The message it was about")
        if not is_open:
            self._show_outcome(item)
        self._show_status(item, is_open)

    def _link_changed(self) -> None:
        if self._actions.link is Link.LOST:
            # What becomes of answers on their way nobody can tell: they may be given again, and count once.
            self._sending.clear()
        self.refresh()

    def _want_console(self) -> None:
        if self._shown is not None:
            self.console_wanted.emit(self._shown.agent)

    def _show_outcome(self, item: Interrupt) -> None:
        self._settled_caption.setText("Closed" if item.answer is None else _BY.get(item.answer.by, "Your answer"))
        self._settled.setText(printable(outcome_words(item)))

    def _show_status(self, item: Interrupt, is_open: bool) -> None:
        status = ""
        if is_open and item.id in self._sending:
            status = "Sending your answer…"
        elif is_open and not self._actions.ready:
            status = "The engine is not running: answers can be given once it is."
        self._status.setText(status)
        self._status.setVisible(bool(status))
        error = self._errors.get(item.id, "")
        self._error.setText(printable(error))
        self._error.setVisible(bool(error))

    def _age(self, item: Interrupt) -> str:
        if item.state is not InterruptState.OPEN:
            return f"asked {date_and_time(item.raised_at)}"
        age = duration((self._now() - item.raised_at).total_seconds())
        if item.expires_at is not None:
            left = max(0.0, (item.expires_at - self._now()).total_seconds())
            return f"waiting for {age}, expires in {duration(left)}"
        return f"waiting for {age}" if wants_answer(item) else f"told you {age} ago"

    def _give(self, answer: Answer) -> None:
        item = self._shown
        if item is None or item.id in self._sending:
            return
        self._sending.add(item.id)
        self._errors.pop(item.id, None)
        self.refresh()

        def failed(error: SkerryError) -> None:
            self._sending.discard(item.id)
            self._errors[item.id] = refusal_words(error, answer.text)
            self.refresh()

        # The form stays shut until the fact of the answer arrives: a second click cannot send a second one.
        give = self._actions.answer_alike if self._for_all(answer) else self._actions.answer
        give(item.id, answer, self.refresh, failed)

    def _for_all(self, answer: Answer) -> bool:
        return self._together.isChecked() and self._alike > 1 and answer.action == "resume"

    def _show_together(self) -> None:
        plain = self.form.ways.way is Way.ANSWER
        self._together.setEnabled(plain and self.form.isEnabled())
        self._together.setToolTip("G" if plain else "Instructions and ends are for one question at a time")

    def _say_too_late(self, before: Interrupt | None, now: Interrupt) -> None:
        """Somebody else was quicker while an answer was being written here: what was written is not lost from sight."""
        same = before is not None and before.id == now.id and before.state is InterruptState.OPEN
        draft = self.form.draft
        if same and now.state is not InterruptState.OPEN and draft and now.id not in self._sending:
            self._errors.setdefault(now.id, f"Too late: this was closed while you wrote. Not sent: “{draft}”")

    def _lay_out(self) -> None:
        for name, part in (
            ("title", self._title),
            ("body", self._body),
            ("outcome", self._settled),
            ("error", self._error),
            ("held", self._held),
            ("exhibits", self._exhibits),
            ("together", self._together),
        ):
            part.setObjectName(f"interrupt-{name}")
        self._status.setObjectName("interrupt-status")
        inner = QWidget()
        inner.setObjectName("content")
        inner.setMaximumWidth(_MAX_WIDTH)
        column = QVBoxLayout(inner)
        column.setContentsMargins(4 * SPACE, 3 * SPACE, 4 * SPACE, 3 * SPACE)
        column.setSpacing(SPACE)
        column.addLayout(self._top())
        column.addSpacing(SPACE // 2)
        column.addWidget(self._title)
        column.addSpacing(SPACE // 2)
        column.addWidget(self._body)
        column.addWidget(self._message_box())
        column.addWidget(self._exhibits)
        column.addSpacing(SPACE)
        # Above what answers: a click on an option sends at once, so this must be seen first.
        column.addWidget(self._together)
        column.addWidget(self.form)
        column.addWidget(self._outcome_box())
        column.addWidget(self._status)
        column.addWidget(self._error)
        column.addStretch(1)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(_left_aligned(inner))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._area)

    def _top(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        row.addWidget(self._chip)
        row.addWidget(self._when, 1)
        row.addWidget(self._console)
        return row

    def _message_box(self) -> QWidget:
        self._held_box = QFrame()
        self._held_box.setObjectName("held-message")
        box = QVBoxLayout(self._held_box)
        box.setContentsMargins(2 * SPACE, int(1.5 * SPACE), 2 * SPACE, int(1.5 * SPACE))
        box.setSpacing(SPACE // 2)
        box.addWidget(self._held_caption)
        box.addWidget(self._held)
        return self._held_box

    def _outcome_box(self) -> QWidget:
        self._settled_box = QFrame()
        self._settled_box.setObjectName("outcome")
        box = QVBoxLayout(self._settled_box)
        box.setContentsMargins(2 * SPACE, int(1.5 * SPACE), 2 * SPACE, int(1.5 * SPACE))
        box.setSpacing(SPACE // 2)
        box.addWidget(self._settled_caption)
        box.addWidget(self._settled)
        return self._settled_box


def _exhibit(item: Exhibit) -> str:
    return printable(f"{item.name} ({item.media_type})") + "\n" + printable(item.text)


def _left_aligned(inner: QWidget) -> QWidget:
    """``inner`` at its greatest width at the left: long lines are hard to read."""
    outer = QWidget()
    outer.setObjectName("content")
    row = QHBoxLayout(outer)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(inner, 1)
    row.addStretch(0)
    return outer
