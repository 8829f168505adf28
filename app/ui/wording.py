"""Figures, times and states in words for people."""

from __future__ import annotations

from datetime import datetime

from app.domain.envelope import USER, Envelope, MessageState
from app.domain.errors import AlreadyAnswered, SkerryError
from app.domain.events import AgentStatus, LimitReached
from app.domain.interrupt import Answer, Interrupt, InterruptKind, InterruptState, Risk
from app.domain.text import first_line

_KINDS = {
    InterruptKind.USER_INPUT: "Question",
    InterruptKind.DEBUG_REQUEST: "Stuck",
    InterruptKind.PROGRESS_REPORT: "Progress",
    InterruptKind.APPROVAL: "Approval",
}
_VERBS = {
    InterruptKind.USER_INPUT: "asks",
    InterruptKind.DEBUG_REQUEST: "is stuck",
    InterruptKind.PROGRESS_REPORT: "reports",
    InterruptKind.APPROVAL: "wants your approval",
}
_CAUSES = {
    "start": "first instructions",
    "messages": "new messages",
    "answer": "your answer",
    "instructions": "new instructions",
}


def kind_word(kind: InterruptKind) -> str:
    """One word for an interrupt's kind."""
    return _KINDS[kind]


def kind_verb(kind: InterruptKind) -> str:
    """What the agent does by raising it, after its name."""
    return _VERBS[kind]


def about_words(interrupt: Interrupt) -> str:
    """Kind, and the risk where it is more than low."""
    risk = "" if interrupt.risk is Risk.LOW else f" · {interrupt.risk.value} risk"
    return kind_word(interrupt.kind) + risk


def wants_answer(interrupt: Interrupt) -> bool:
    """Whether somebody or something waits for the user: all but reports, even when the agent itself works on."""
    return interrupt.blocking or interrupt.kind is not InterruptKind.PROGRESS_REPORT


def call_words(interrupt: Interrupt) -> str:
    """Who needs the user for what, in one line."""
    title = first_line(interrupt.title, 300)
    # An approval's title names the agent and its wish already.
    return title if interrupt.kind is InterruptKind.APPROVAL else f"{interrupt.agent} {_VERBS[interrupt.kind]}: {title}"


def cause_words(cause: str) -> str:
    """Why a turn began."""
    return _CAUSES.get(cause, cause)


def state_word(state: AgentStatus) -> str:
    """An agent's state with a capital."""
    return state.value.capitalize()


def person(name: str) -> str:
    """A sender or recipient: the user is 'you'."""
    return "you" if name == USER else name


WAITING = frozenset({MessageState.ACCEPTED, MessageState.HELD, MessageState.DELIVERED})
"""Nobody has read these yet."""
FAILED = frozenset({MessageState.REFUSED, MessageState.EXPIRED})
"""These were never read."""


def manner(envelope: Envelope) -> str:
    """How a message travels, and what it is when it is more than a message: 'sync reply'."""
    return envelope.mode if envelope.kind == "message" else f"{envelope.mode} {envelope.kind}"


def count(number: int) -> str:
    """A figure for a narrow column: 950, 12.3k, 4.5M."""
    if number < 1000:
        return str(number)
    if number < 999_950:
        return f"{number / 1000:.1f}".removesuffix(".0") + "k"
    return f"{number / 1_000_000:.1f}".removesuffix(".0") + "M"


def plural(number: int, word: str) -> str:
    """'1 agent', '3 agents'."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def duration(seconds: float) -> str:
    """'45 s', '3 min', '1 h 05 min', '2 d 3 h'."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    if hours == 0:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def clock(seconds: float) -> str:
    """A running time as 0:45, 12:03 or 1:02:03."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def precise(seconds: float) -> str:
    """How long a command took: '0.4 s', '12 s', '3 min'."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def size(amount: int) -> str:
    """Bytes: '512 B', '3.4 KiB', '12 MiB'."""
    if amount < 1024:
        return f"{amount} B"
    value = amount / 1024
    for unit in ("KiB", "MiB"):
        if value < 1024:
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def time_of_day(at: datetime) -> str:
    """Local time with seconds."""
    return at.astimezone().strftime("%H:%M:%S")


def date_and_time(at: datetime) -> str:
    """Local date and time."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def limit_words(event: LimitReached) -> str:
    """A limit an agent's machine came to."""
    times = f" ({event.count} times)" if event.count > 1 else ""
    return f"Limit reached, {event.limit.replace('_', ' ')}: {event.detail}{times}"


def answer_words(answer: Answer) -> str:
    """What was answered, whole."""
    parts = [f"“{answer.option}”"] if answer.option else []
    if answer.text.strip():
        parts.append(answer.text.strip())
    if answer.action == "cancel":
        parts.insert(0, "cancelled")
    elif answer.action == "modify":
        parts.insert(0, "new instructions")
    return " — ".join(parts) or "seen"


def refusal_words(error: SkerryError, text: str = "") -> str:
    """Why an answer was not taken; one that came too late is shown with what was written, so that it is not lost."""
    if not isinstance(error, AlreadyAnswered):
        return str(error)
    return f"Too late: {error.message}." + (f" Not sent: “{text}”" if text else "")


def outcome_words(interrupt: Interrupt) -> str:
    """How an interrupt that is no longer open came to its end."""
    if interrupt.state is InterruptState.WITHDRAWN:
        return "withdrawn by the agent"
    if interrupt.state is InterruptState.EXPIRED:
        default = f"; its default applies: {answer_words(interrupt.answer)}" if interrupt.answer is not None else ""
        return f"expired without an answer{default}"
    return answer_words(interrupt.answer) if interrupt.answer is not None else "answered"
