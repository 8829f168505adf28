"""Interrupts: what an agent, or the host for it, needs a person for; and the answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.errors import ActionRefused, AlreadyAnswered
from app.domain.text import check_text, first_line

MAX_ANSWER_BYTES = 65_536
MAX_EXHIBITS = 4
MAX_EXHIBIT_BYTES = 32_768
"""Of the text of one exhibit, in UTF-8: a diff, the end of a log."""


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


class Risk(StrEnum):
    """What a wrong answer may cost: nothing that cannot be mended, work, or something outside of the machine."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def order(self) -> int:
        """The highest first."""
        return list(Risk)[::-1].index(self)


class Exhibit(BaseModel):
    """Text that goes with a question for the user to look at; shown, never run. At most ``MAX_EXHIBIT_BYTES``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    media_type: str = Field(default="text/plain", max_length=80, pattern=r"^[a-z0-9.+-]+/[a-zA-Z0-9.+-]+$")
    text: str


class Answer(BaseModel):
    """A person's answer: go on (with text or an option), new instructions, or cancel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["resume", "modify", "cancel"] = "resume"
    option: str = ""
    text: str = ""
    mode: Literal["amend", "replace"] = "amend"
    """For ``modify``: whether the new instructions go along with those the agent has, or stand instead of them."""
    scope: Literal["agent", "task"] = "agent"
    """For ``cancel``: whether the agent ends, or only drops its task and waits."""
    by: str = "user"
    """Who answered: ``user``, ``default`` when nobody was asked to look, ``file`` for an answer written beforehand,
    ``approve-all`` while the user approves everything."""


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
    risk: Risk = Risk.LOW
    expires_at: datetime | None = None
    """Then the asker's default applies, when it gave one, and it goes on without an answer in any case."""
    exhibits: tuple[Exhibit, ...] = Field(default=(), max_length=MAX_EXHIBITS)
    group: str = ""
    """Open approvals of one kind that have the same (and one) may be answered together."""
    approve: str = ""
    """The option that allows just this once; empty: the first."""
    state: InterruptState = InterruptState.OPEN
    answer: Answer | None = None
    settled_at: datetime | None = None


def settle(interrupt: Interrupt, answer: Answer) -> Interrupt:
    """The interrupt with its answer. Raises AlreadyAnswered, or ActionRefused for an answer that does not fit."""
    if interrupt.state is not InterruptState.OPEN:
        raise too_late(interrupt)
    check_answer(interrupt, answer)
    return interrupt.model_copy(update={"state": InterruptState.ANSWERED, "answer": answer})


def too_late(interrupt: Interrupt) -> AlreadyAnswered:
    """What somebody is told who answers one that is not open any more: what became of it, by whom and when."""
    when = f" at {interrupt.settled_at:%Y-%m-%d %H:%M:%S} UTC" if interrupt.settled_at is not None else ""
    words = f"{interrupt.id} is {interrupt.state.value} already{when}"
    given = interrupt.answer
    if given is not None:
        words += f" by {given.by}: {first_line(given.option or given.text or given.action, 200)}"
    hint = f"answers are given once; write to it instead: skerry send {interrupt.agent} TEXT"
    return AlreadyAnswered(words, operation="answer", hint=hint)


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


def approving_answer(interrupt: Interrupt, by: str) -> Answer | None:
    """The answer that lets an approval pass once; None for what is none, or has nothing to choose.

    What the host asks about an agent's limits is none of it: who approves everything has not given up the budget.
    """
    option = interrupt.approve or (interrupt.options[0] if interrupt.options else "")
    if interrupt.kind is not InterruptKind.APPROVAL or interrupt.about or option not in interrupt.options:
        return None
    return Answer(option=option, by=by)


def expired(interrupt: Interrupt) -> Interrupt:
    """The interrupt when its time is up: with the asker's default as its answer, when it named one."""
    answer = default_answer(interrupt) if interrupt.default else None
    return interrupt.model_copy(update={"state": InterruptState.EXPIRED, "answer": answer})


def urgency(interrupt: Interrupt) -> tuple[int, int, float]:
    """Sorts open interrupts: what is waited for first, then the greater risk, then the older."""
    return (int(not interrupt.blocking), interrupt.risk.order, interrupt.raised_at.timestamp())


def alike(interrupt: Interrupt, others: Iterable[Interrupt]) -> list[Interrupt]:
    """Those open ones that may be answered together with ``interrupt``, itself included; one without a group alone."""
    return [
        item
        for item in others
        if item.id == interrupt.id
        or (
            interrupt.group != ""
            and item.state is InterruptState.OPEN
            and (item.kind, item.group, item.options) == (interrupt.kind, interrupt.group, interrupt.options)
        )
    ]


def checked(exhibits: tuple[Exhibit, ...]) -> tuple[Exhibit, ...]:
    """The same. Raises ActionRefused for a text that is too long, or holds what a terminal would obey."""
    for item in exhibits:
        check_text(item.name, what="the name of an exhibit", max_bytes=480)
        check_text(item.text, what=f"the exhibit {item.name!r}", max_bytes=MAX_EXHIBIT_BYTES)
    return exhibits
