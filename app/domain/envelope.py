"""The message envelope and the states of its delivery."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.domain.errors import ActionRefused
from app.domain.text import check_text

USER = "user"
"""The name of the person at the desk, as sender and as recipient."""

MAX_SUBJECT_BYTES = 400
MAX_BODY_BYTES = 65_536


class MessageState(StrEnum):
    """Where a message is. ``held`` waits for the user; refused, expired, read and answered are ends for the sender."""

    ACCEPTED = "accepted"
    HELD = "held"
    DELIVERED = "delivered"
    READ = "read"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"


Await = Literal["ack", "reply"]
"""What a sender waits for: that the recipient has the text before it, or that it has answered."""

MOVES: Mapping[MessageState, frozenset[MessageState]] = {
    # An answer that somebody waits for is read before its delivery is on record.
    MessageState.ACCEPTED: frozenset(
        {MessageState.DELIVERED, MessageState.READ, MessageState.REFUSED, MessageState.EXPIRED}
    ),
    MessageState.HELD: frozenset({MessageState.ACCEPTED, MessageState.REFUSED, MessageState.EXPIRED}),
    MessageState.DELIVERED: frozenset({MessageState.READ, MessageState.EXPIRED, MessageState.ANSWERED}),
    MessageState.READ: frozenset({MessageState.ANSWERED}),
    MessageState.ANSWERED: frozenset(),
    MessageState.REFUSED: frozenset(),
    MessageState.EXPIRED: frozenset(),
}


def may_move(old: MessageState, new: MessageState) -> bool:
    """Whether a message in ``old`` may become ``new``. Facts that arrive twice or late are not moves."""
    return new in MOVES[old]


MessageKind = Literal["message", "reply", "event", "receipt", "confirm"]
"""``confirm`` asks the recipient to accept or decline before work goes on."""


class Attachment(BaseModel):
    """A file that travels with a message; ``sha256`` is of its content, ``size`` in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: int = Field(ge=0)
    sha256: str


class Envelope(BaseModel):
    """One message. ``sender`` is set by the host from the channel the message came in on, never by the agent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: Literal[1] = 1
    sender: str
    recipient: str
    mode: Literal["async", "sync"] = "async"
    kind: MessageKind = "message"
    subject: str = ""
    body: str
    data: dict[str, JsonValue] = Field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    reply_to: str | None = None
    correlation_id: str = ""
    """The id of the first message of the thread."""
    idempotency_key: str = ""
    sent_at: datetime
    expires_at: datetime | None = None
    hops: tuple[str, ...] = ()


class MessageRef(BaseModel):
    """What workflows carry of a message: enough to decide, never the body (that stays in the store)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    sender: str
    recipient: str
    subject: str = ""
    reply_to: str | None = None
    correlation_id: str = ""
    kind: MessageKind = "message"
    awaits: Await | None = None
    """Set while the sender waits in the middle of its turn."""
    expires_at: datetime | None = None
    attended: bool = False
    """Whether a tool call of the recipient waited for it and has it from the record: its workflow need not hurry."""


def reference(envelope: Envelope, awaits: Await | None = None, *, attended: bool = False) -> MessageRef:
    """The reference to an envelope."""
    return MessageRef(
        id=envelope.id,
        sender=envelope.sender,
        recipient=envelope.recipient,
        subject=envelope.subject,
        reply_to=envelope.reply_to,
        correlation_id=envelope.correlation_id or envelope.id,
        kind=envelope.kind,
        awaits=awaits,
        expires_at=envelope.expires_at,
        attended=attended,
    )


def check_envelope(envelope: Envelope, max_bytes: int = MAX_BODY_BYTES) -> Envelope:
    """The envelope unchanged, or ActionRefused with the reason."""
    if not envelope.body.strip():
        raise ActionRefused(
            "the message has no text", operation="send message", hint="say what the recipient shall know or do"
        )
    check_text(envelope.subject, what="the subject", max_bytes=MAX_SUBJECT_BYTES)
    if "\n" in envelope.subject:
        raise ActionRefused("the subject has more than one line", operation="send message")
    check_text(envelope.body, what="the body", max_bytes=max_bytes)
    _check_data(envelope.data, max_bytes)
    return envelope


def _check_data(data: dict[str, JsonValue], max_bytes: int) -> None:
    """Bound the data's size and check every text in it, names too."""
    try:
        size = len(json.dumps(data, allow_nan=False))
    except (ValueError, RecursionError):
        raise ActionRefused(
            "the data is no plain JSON", operation="send message", hint="finite numbers and little nesting"
        ) from None
    if size > max_bytes:
        raise ActionRefused(f"the data has {size} bytes, {max_bytes} are allowed", operation="send message")
    open_values: list[JsonValue] = [data]
    while open_values:
        value = open_values.pop()
        if isinstance(value, str):
            check_text(value, what="the data", max_bytes=max_bytes)
        elif isinstance(value, dict):
            open_values += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            open_values += value
