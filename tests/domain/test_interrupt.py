from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.errors import ActionRefused, AlreadyAnswered
from app.domain.interrupt import Answer, Interrupt, InterruptKind, InterruptState, default_answer, settle


def question(**values: object) -> Interrupt:
    base: dict[str, object] = {
        "id": "i-1",
        "agent": "alice",
        "kind": InterruptKind.USER_INPUT,
        "title": "Which?",
        "options": ("red", "blue"),
        "raised_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Interrupt.model_validate(base | values)


def test_an_answer_is_given_once() -> None:
    settled = settle(question(), Answer(option="red"))
    assert settled.state is InterruptState.ANSWERED
    assert settled.answer == Answer(option="red")
    with pytest.raises(AlreadyAnswered, match="i-1 is answered already"):
        settle(settled, Answer(option="blue"))


@pytest.mark.parametrize(
    ("interrupt", "answer", "words"),
    [
        (question(), Answer(option="green"), "'green' is not an option of i-1 .*'red', 'blue'"),
        (question(options=()), Answer(option="green"), "none; answer with text"),
        (question(), Answer(action="modify", text="  "), "new instructions are empty"),
        (question(), Answer(text="\x1b]0;x\x07"), "forbidden character"),
        (question(kind=InterruptKind.APPROVAL), Answer(text="fine"), "needs one of its options"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_remedy(interrupt: Interrupt, answer: Answer, words: str) -> None:
    with pytest.raises(ActionRefused, match=words):
        settle(interrupt, answer)


@pytest.mark.parametrize(
    ("interrupt", "expected"),
    [
        (question(default="blue"), Answer(option="blue", by="default")),
        (question(), Answer(option="red", by="default")),
        (question(options=(), default="Use tabs."), Answer(text="Use tabs.", by="default")),
        (question(options=()), Answer(text="Go on as you think best.", by="default")),
    ],
)
def test_the_default_is_the_askers_else_the_first(interrupt: Interrupt, expected: Answer) -> None:
    assert default_answer(interrupt) == expected
    assert settle(interrupt, expected).answer == expected
