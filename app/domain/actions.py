"""The tool contract: one typed action per tool, its help text and JSON schema, the same for every brand of agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain.errors import ActionRefused
from app.domain.interrupt import MAX_EXHIBITS, Exhibit, Risk

MIN_WAIT_SECONDS = 5
DEFAULT_WAIT_SECONDS = 600
MAX_WAIT_SECONDS = 3600
MAX_EXPIRY_SECONDS = 30 * 24 * 3600


class Action(BaseModel):
    """Base of all actions. The class docstring is the help text the model reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]


class MemoryRead(Action):
    """Read your memory file: the notes you kept in earlier turns."""

    name: ClassVar[str] = "memory_read"
    heading: str = Field(default="", description="Optional: only what stands under this heading, without '#'.")
    start_line: int = Field(default=1, ge=1, le=10_000_000, description="Where to go on in a long one.")


class MemoryAppend(Action):
    """Add a note to your memory file, at the end of a heading (made when it is missing)."""

    name: ClassVar[str] = "memory_append"
    text: str = Field(description="The note, Markdown.", min_length=1)
    heading: str = Field(default="Notes", description="The heading it belongs under, without '#'.")
    why: str = Field(default="", description="Optional: why, one line, for the file's history.")


class MemoryReplace(Action):
    """Replace everything under one heading of your memory file, deeper headings included; so notes are condensed."""

    name: ClassVar[str] = "memory_replace"
    heading: str = Field(description="The heading, without '#'.", min_length=1)
    text: str = Field(description="The new text, Markdown; empty removes the section.")
    why: str = Field(default="", description="Optional: why, one line, for the file's history.")


class MemorySearch(Action):
    """Find lines of your own memory file that hold all the given words."""

    name: ClassVar[str] = "memory_search"
    query: str = Field(description="Words to look for.", min_length=1)


class SendMessage(Action):
    """Send a message to another agent or to 'user'.

    async returns at once and the recipient reads it in its next turn; sync waits and returns the reply.
    """

    name: ClassVar[str] = "send_message"
    recipient: str = Field(description="The agent's id, or 'user'.")
    subject: str = Field(default="", description="One line.")
    body: str = Field(description="The message.", min_length=1)
    kind: Literal["message", "confirm"] = Field(
        default="message",
        description="confirm: the recipient must accept or decline before it goes on; you wait for that unless "
        "mode is async.",
    )
    mode: Literal["async", "sync"] | None = Field(
        default=None, description="async (the default) or sync: wait for what wait_for says."
    )
    wait_for: Literal["reply", "ack"] = Field(
        default="reply", description="For sync. reply: until it is answered; ack: until it is read."
    )
    timeout_seconds: int = Field(
        default=DEFAULT_WAIT_SECONDS,
        ge=MIN_WAIT_SECONDS,
        le=MAX_WAIT_SECONDS,
        description="For sync: what nobody has read by then expires.",
    )
    expires_after_seconds: int | None = Field(
        default=None, ge=1, le=MAX_EXPIRY_SECONDS, description="For async, optional: expires if not read by then."
    )
    attachments: tuple[str, ...] = Field(
        default=(), description="Optional: paths of files of your /workspace to send along; at most 8, 1 MiB each."
    )
    idempotency_key: str = Field(default="", description="Optional: the same key is never delivered twice.")


class Reply(Action):
    """Reply to a message you have received; always allowed."""

    name: ClassVar[str] = "reply"
    message_id: str = Field(description="The id of the message you reply to.")
    body: str = Field(description="The reply.", min_length=1)
    attachments: tuple[str, ...] = Field(
        default=(), description="Optional: paths of files of your /workspace to send along; at most 8, 1 MiB each."
    )
    idempotency_key: str = Field(default="", description="Optional: the same key is never delivered twice.")


class AwaitReply(Action):
    """Wait for the reply to a message you have sent. When it says 'pending', call it again or go on without."""

    name: ClassVar[str] = "await_reply"
    message_id: str = Field(description="The id of your message.")
    timeout_seconds: int = Field(
        default=DEFAULT_WAIT_SECONDS, ge=MIN_WAIT_SECONDS, le=MAX_WAIT_SECONDS, description="How long to wait."
    )


class Confirm(Action):
    """Accept or decline what a message asks you to confirm. You can do little else before you have decided."""

    name: ClassVar[str] = "confirm"
    message_id: str = Field(description="The id of the message that asks.")
    decision: Literal["accept", "decline"] = Field(description="Your decision.")
    reason: str = Field(default="", description="Why; needed to decline.")


class ReadInbox(Action):
    """Read the messages that came in since you last looked."""

    name: ClassVar[str] = "read_inbox"
    wait_seconds: int = Field(
        default=0, ge=0, le=45, description="Wait so long for a message when there is none; returns when one comes."
    )


class AskUser(Action):
    """Ask the user a question. End your turn after it: the answer comes as your next prompt."""

    name: ClassVar[str] = "ask_user"
    question: str = Field(description="The question, one line.", min_length=1)
    details: str = Field(default="", description="What the user needs to know to decide.")
    options: tuple[str, ...] = Field(
        default=(), description="Answers to choose from; the user may also write.", max_length=9
    )
    default: str = Field(default="", description="The option you would take yourself.")
    risk: Risk = Field(default=Risk.LOW, description="What a wrong answer may cost: low, medium or high.")
    expires_after_seconds: int | None = Field(
        default=None,
        ge=1,
        le=MAX_EXPIRY_SECONDS,
        description="Optional: then you are woken without an answer, and your default applies.",
    )
    exhibits: tuple[Exhibit, ...] = Field(
        default=(), max_length=MAX_EXHIBITS, description="Optional: texts to look at, a diff or the end of a log."
    )


class RequestDebug(Action):
    """Tell the user that you are stuck and what you tried. End your turn after it: help comes as your next prompt."""

    name: ClassVar[str] = "request_debug"
    problem: str = Field(description="What does not work, one line.", min_length=1)
    evidence: str = Field(default="", description="Output, file names, what you tried.")
    exhibits: tuple[Exhibit, ...] = Field(
        default=(), max_length=MAX_EXHIBITS, description="Optional: texts to look at, a diff or the end of a log."
    )


class ReportProgress(Action):
    """Report a checkpoint to the user. You go on without waiting."""

    name: ClassVar[str] = "report_progress"
    summary: str = Field(description="What is done and what comes next.", min_length=1)


class Finish(Action):
    """Say that your task is complete. End your turn after it; you are not woken again."""

    name: ClassVar[str] = "finish"
    summary: str = Field(description="What you achieved.", min_length=1)


AnyAction = (
    MemoryRead
    | MemoryAppend
    | MemoryReplace
    | MemorySearch
    | SendMessage
    | Reply
    | AwaitReply
    | Confirm
    | ReadInbox
    | AskUser
    | RequestDebug
    | ReportProgress
    | Finish
)

ACTIONS: tuple[type[AnyAction], ...] = (
    MemoryRead,
    MemoryAppend,
    MemoryReplace,
    MemorySearch,
    SendMessage,
    Reply,
    AwaitReply,
    Confirm,
    ReadInbox,
    AskUser,
    RequestDebug,
    ReportProgress,
    Finish,
)

ActionName = Literal[
    "memory_read",
    "memory_append",
    "memory_replace",
    "memory_search",
    "send_message",
    "reply",
    "await_reply",
    "confirm",
    "read_inbox",
    "ask_user",
    "request_debug",
    "report_progress",
    "finish",
]


def help_text(action: type[Action]) -> str:
    """What the model is told a tool does."""
    return " ".join((action.__doc__ or "").split())


def schema(action: type[Action]) -> dict[str, Any]:
    """JSON schema of a tool's arguments, without the titles pydantic adds."""
    return _without_titles(action.model_json_schema() | {"description": help_text(action)})


def parse_action(name: str, arguments: Mapping[str, object]) -> AnyAction:
    """The typed action of a tool call. Raises ActionRefused in words the model can act on."""
    kind = next((action for action in ACTIONS if action.name == name), None)
    if kind is None:
        raise ActionRefused(f"there is no tool {name!r}", hint="tools: " + ", ".join(a.name for a in ACTIONS))
    try:
        return kind.model_validate(dict(arguments))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'arguments'}: {item['msg']}" for item in error.errors()
        )
        raise ActionRefused(f"{name}: {problems}", operation=name) from None


def _without_titles(node: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for key, value in node.items():
        if key == "title" and isinstance(value, str):
            continue
        cleaned[key] = {k: _without_titles(v) for k, v in value.items()} if key in ("properties", "$defs") else value
    return cleaned
