"""Answers written beforehand: the first entry that fits, and mistakes with their line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.config.answers import load_answers
from app.domain.errors import ConfigError
from app.domain.interrupt import Answer, Interrupt, InterruptKind

FILE = """
answers:
  - {kind: approval, title: "* wants to write to *", option: Deliver once}
  - {agent: dev-*, title: "Which*", option: red, text: not too bright}
  - {kind: debug_request, modify: Go on., replace: true}
  - {agent: test-agent, cancel: task}
  - {kind: user_input, default: true}
"""


def asked(kind: InterruptKind, agent: str, title: str, default: str = "") -> Interrupt:
    return Interrupt(id="i-1", agent=agent, kind=kind, title=title, default=default, raised_at=datetime.now(UTC))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (asked(InterruptKind.APPROVAL, "bob", "bob wants to write to alice"), Answer(option="Deliver once", by="file")),
        (
            asked(InterruptKind.USER_INPUT, "dev-agent", "Which colour?"),
            Answer(option="red", text="not too bright", by="file"),
        ),
        (
            asked(InterruptKind.DEBUG_REQUEST, "test-agent", "Stuck"),
            Answer(action="modify", text="Go on.", mode="replace", by="file"),
        ),
        (asked(InterruptKind.APPROVAL, "test-agent", "Push?"), Answer(action="cancel", scope="task", by="file")),
        (asked(InterruptKind.USER_INPUT, "bob", "Why?", "because"), Answer(text="because", by="file")),
        (asked(InterruptKind.APPROVAL, "bob", "Push?"), None),
    ],
)
def test_the_first_that_fits(tmp_path: Path, question: Interrupt, answer: Answer | None) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text(FILE)
    assert load_answers(file).find(question) == answer


@pytest.mark.parametrize(
    ("entry", "words"),
    [("{agent: bob}", "one answer"), ("{text: a, default: true}", "one answer"), ("{colour: red}", "colour")],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, entry: str, words: str) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text(f"answers:\n  - {{text: good}}\n  - {entry}\n")
    with pytest.raises(ConfigError, match=words) as caught:
        load_answers(file)
    assert f"{file}:3:" in str(caught.value)
