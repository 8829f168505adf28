"""The part of the panel that answers: options, free text, instructions, an end; Send says what exactly goes out."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from app.domain.interrupt import Answer, Interrupt, InterruptKind
from app.domain.text import first_line, printable
from app.ui.interrupts.ways import Way, WayChoice
from app.ui.typography import SPACE, base_font
from app.ui.widgets.buttons import button
from app.ui.widgets.labels import label
from app.ui.wording import wants_answer

MAX_KEYS = 9


class AnswerForm(QWidget):
    """``answered`` carries the Answer the user gave."""

    answered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._interrupt: Interrupt | None = None
        self._choice = ""
        self._picked = False
        self._enabled = True
        self._buttons: list[QPushButton] = []
        self.ways = WayChoice()
        self._options = QVBoxLayout()
        self._text = QPlainTextEdit()
        self._hint = label(tone="faint", scale=0.9, wrap=True)
        self._send = button("Send", "interrupt-send", kind="primary", tip="Ctrl+Enter")
        self._lay_out()
        self._text.textChanged.connect(self._refresh)
        self.ways.changed.connect(self._refresh)
        self._send.clicked.connect(self.send)

    @property
    def text_has_focus(self) -> bool:
        """Whether keys are being typed as text."""
        return self._text.hasFocus()

    def ask(self, interrupt: Interrupt) -> None:
        """Show the form for another interrupt."""
        self._interrupt = interrupt
        self._picked = False
        self._choice = interrupt.default if interrupt.default in interrupt.options else ""
        self._text.clear()
        self._make_buttons(interrupt.options)
        self.ways.begin()
        self._refresh()

    def set_enabled(self, enabled: bool) -> None:
        """Whether an answer can be given now."""
        self._enabled = enabled
        self._text.setEnabled(enabled)
        self.ways.setEnabled(enabled)
        for made in self._buttons:
            made.setEnabled(enabled)
        self._refresh()

    def choose(self, number: int) -> None:
        """Pick the option ``number``, counted from 0; picking it again lets go of it."""
        if not self._enabled or self._interrupt is None or not 0 <= number < len(self._interrupt.options):
            return
        if self.ways.way is not Way.ANSWER:
            self.ways.choose(Way.ANSWER)
        option = self._interrupt.options[number]
        again = self._picked and self._choice == option
        self._choice, self._picked = ("" if again else option), not again
        self._refresh()

    def take(self, way: Way) -> None:
        """Answer, instruct or cancel; new instructions are at once ready to be written."""
        if self._enabled:
            self.ways.choose(way)
            if way is Way.INSTRUCT:
                self.write()

    def write(self) -> None:
        """Put the text cursor into the field."""
        self._text.setFocus()

    def send(self) -> None:
        """Give the answer that the button names."""
        answer = self._answer()
        if self._enabled and answer is not None:
            self.answered.emit(answer)

    def _press(self, option: str) -> None:
        """A click on an option answers at once; what is written goes along as a note."""
        if self._enabled:
            self.answered.emit(Answer(option=option, text=self._written()))

    def _answer(self) -> Answer | None:
        """What Send would give: the picked option and the text; the default only when nothing is written."""
        item, text = self._interrupt, self._written()
        if item is None:
            return None
        if self.ways.way is not Way.ANSWER:
            return self.ways.answer(text)
        option = self._choice if self._picked or not text or item.kind is InterruptKind.APPROVAL else ""
        if option or text:
            return Answer(option=option, text=text)
        # A report needs no words: it is enough that it was seen.
        return None if wants_answer(item) else Answer()

    @property
    def draft(self) -> str:
        """What is written and not sent."""
        return self._written()

    def _written(self) -> str:
        return self._text.toPlainText().strip()

    def _refresh(self) -> None:
        answer = self._answer()
        way = self.ways.way
        allowed = answer is not None and not (self._needs_option() and not answer.option)
        self._send.setEnabled(self._enabled and allowed)
        self._send.setText(_send_words(answer) if way is Way.ANSWER else self.ways.send_words())
        self._show_kind("danger" if way is Way.CANCEL else "primary")
        for made in self._buttons:
            made.setVisible(way is Way.ANSWER)
            made.setChecked(made.property("option") == self._choice)
            made.setText(self._option_words(made))
        self._text.setVisible(way is not Way.CANCEL)
        if self._interrupt is not None:
            self._text.setPlaceholderText(_placeholder(self._interrupt, way))
        self._hint.setText(self._hint_words())

    def _show_kind(self, kind: str) -> None:
        if self._send.property("kind") != kind:
            self._send.setProperty("kind", kind)
            self._send.style().unpolish(self._send)
            self._send.style().polish(self._send)

    def _needs_option(self) -> bool:
        approval = self._interrupt is not None and self._interrupt.kind is InterruptKind.APPROVAL
        return approval and self.ways.way is Way.ANSWER

    def _hint_words(self) -> str:
        if self.ways.way is Way.CANCEL:
            return "Ctrl+Enter to send, A to answer after all"
        keys = min(len(self._buttons), MAX_KEYS) if self.ways.way is Way.ANSWER else 0
        picks = f"1–{keys} to pick, " if keys > 1 else "1 to pick, " if keys else ""
        return f"{picks}Ctrl+Enter to send, J and K for the next and the one before"

    def _make_buttons(self, options: Sequence[str]) -> None:
        while self._options.count():
            item = self._options.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._buttons = [self._option_button(number, option) for number, option in enumerate(options)]
        for made in self._buttons:
            self._options.addWidget(made)

    def _option_button(self, number: int, option: str) -> QPushButton:
        assert self._interrupt is not None
        made = button("", f"interrupt-option-{number}", kind="option", tip="Answer with this")
        made.setCheckable(True)
        made.setEnabled(self._enabled)
        made.setProperty("option", option)
        made.setProperty("number", number)
        made.setAccessibleName(f"Answer: {printable(option)}")
        made.clicked.connect(lambda _checked=False, option=option: self._press(option))
        return made

    def _option_words(self, made: QPushButton) -> str:
        """Its key, the option, and what a click would send along."""
        assert self._interrupt is not None
        option, number = str(made.property("option")), int(made.property("number"))
        key = f"{number + 1}   " if number < MAX_KEYS else ""
        whose = "suggested" if self._interrupt.kind is InterruptKind.APPROVAL else "the agent’s choice"
        default = f"   ({whose})" if option == self._interrupt.default else ""
        note = "   + your note" if self._written() else ""
        return key + printable(option).replace("&", "&&") + default + note

    def _lay_out(self) -> None:
        self._options.setSpacing(SPACE)
        self._text.setObjectName("interrupt-text")
        self._text.setProperty("role", "editor")
        self._text.setAccessibleName("Your answer")
        self._text.setFont(base_font())
        self._text.setTabChangesFocus(True)
        self._text.setFixedHeight(9 * SPACE)
        bottom = QHBoxLayout()
        bottom.setSpacing(2 * SPACE)
        bottom.addWidget(self._hint, 1)
        bottom.addWidget(self._send, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(int(1.5 * SPACE))
        layout.addWidget(self.ways)
        layout.addLayout(self._options)
        layout.addWidget(self._text)
        layout.addLayout(bottom)


def _placeholder(interrupt: Interrupt, way: Way) -> str:
    if way is Way.INSTRUCT:
        return "What it shall do from now on"
    if interrupt.kind is InterruptKind.APPROVAL:
        return "A note that goes with your decision, such as why not (optional)"
    if not wants_answer(interrupt):
        return "Reply to the report (optional)"
    return "Or answer in your own words" if interrupt.options else "Your answer"


def _send_words(answer: Answer | None) -> str:
    if answer is None:
        return "Send"
    option = printable(first_line(answer.option, 32)).replace("&", "&&")
    if option:
        return f"Send “{option}” with note" if answer.text else f"Send “{option}”"
    return "Send answer" if answer.text else "Mark as seen"
