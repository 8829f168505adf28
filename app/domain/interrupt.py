"""Interrupts: what an agent, or the host for it, needs a person for; and the answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.domain.errors import ActionRefused, AlreadyAnswered
from app.domain.text import check_text

MAX_ANSWER_BYTES = 65_536


class InterruptKind(StrEnum):
    """Why a person is needed."""

    USER_INPUT = "user_input"
    DEBUG_REQUEST = "debug_request"
    PROGRESS_REPORT = "progress_report"
    APPROVAL = "approval"


class InterruptState(StrEnum):
    """``withdrawn``: the asker no longer needs it; ``expired``: its time ran out."""

    OPEN = "open"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Answer(BaseModel):
    """A person's answer: go on (with text or an option), new instructions, or cancel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["resume", "modify", "cancel"] = "resume"
    option: str = ""
    text: str = ""
    by: str = "user"
    """Who answered: ``user``, or ``default`` when nobody was asked to look."""


class Interrupt(BaseModel):
    """One question, report or request, with its answer once it has one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    agent: str
    kind: InterruptKind
    title: str
    body: str = ""
    options: tuple[str, ...] = ()
    default: str = ""
    """The option (or text) taken when the user asked for defaults; empty: the first option, or none."""
    blocking: bool = True
    """Whether the agent waits for the answer."""
    message_id: str | None = None
    """The held message an approval decides about."""
    permission: bool = False
    """Whether a program waits for the answer in the middle of its turn; the agent is not told of it in a prompt."""
    about: str = ""
    """What the host asks about, when it was not the agent that asked: ``budget:tokens``, ``stall``, …"""
    raised_at: datetime
    state: InterruptState = InterruptState.OPEN
    answer: Answer | None = None


def settle(interrupt: Interrupt, answer: Answer) -> Interrupt:
    """The interrupt with its answer. Raises AlreadyAnswered, or ActionRefused for an answer that does not fit."""
    if interrupt.state is not InterruptState.OPEN:
        raise AlreadyAnswered(
            f"{interrupt.id} is {interrupt.state.value} already", operation="answer", hint="answers are given once"
        )
    check_answer(interrupt, answer)
    return interrupt.model_copy(update={"state": InterruptState.ANSWERED, "answer": answer})


def check_answer(interrupt: Interrupt, answer: Answer) -> None:
    """Raise ActionRefused when ``answer`` does not fit the question."""
    if answer.option and answer.option not in interrupt.options:
        allowed = ", ".join(repr(option) for option in interrupt.options) or "none; answer with text"
        raise ActionRefused(
            f"{answer.option!r} is not an option of {interrupt.id}", operation="answer", hint=f"its options: {allowed}"
        )
    check_text(answer.text, what="the answer", max_bytes=MAX_ANSWER_BYTES)
    if answer.action == "modify" and not answer.text.strip():
        raise ActionRefused(
            "new instructions are empty", operation="answer", hint="say what the agent shall do instead"
        )
    if interrupt.kind is InterruptKind.APPROVAL and answer.action == "resume" and not answer.option:
        raise ActionRefused(
            f"{interrupt.id} needs one of its options", operation="answer", hint=", ".join(interrupt.options)
        )


def default_answer(interrupt: Interrupt) -> Answer:
    """What is answered when nobody looks: the asker's default, else its first option, else a plain go-ahead."""
    choice = interrupt.default or (interrupt.options[0] if interrupt.options else "")
    if choice in interrupt.options:
        return Answer(option=choice, by="default")
    return Answer(text=choice or "Go on as you think best.", by="default")
