"""What the user writes: from the words given to the envelope that is kept and delivered."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from app.domain.envelope import USER, Attachment, Await, Envelope, check_envelope
from app.domain.errors import ActionRefused

DEFAULT_TIMEOUT = 60.0
"""Seconds that a user waits for an answer unless told otherwise."""

MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the user before it is sent.

    ``key``: the same key is never delivered twice in a run. ``expires``: seconds after which an unread one is of no
    use. ``sync`` waits ``timeout`` seconds at most for what ``awaits`` says; unread by then it expires.
    """

    recipient: str
    body: str
    subject: str = ""
    kind: Literal["message", "confirm"] = "message"
    sync: bool = False
    awaits: Await = "reply"
    timeout: float = DEFAULT_TIMEOUT
    expires: float | None = None
    attachments: tuple[Path, ...] = ()
    key: str = ""


def envelope_of(letter: Letter, run: str, files: tuple[Attachment, ...]) -> Envelope:
    """The envelope of a new message. Raises ActionRefused for what no message may be."""
    now = datetime.now(UTC)
    message_id = message_id_of(letter.key, run)
    lasts = _seconds_until_expiry(letter)
    envelope = Envelope(
        id=message_id,
        sender=USER,
        recipient=letter.recipient,
        mode="sync" if letter.sync else "async",
        kind=letter.kind,
        subject=letter.subject.strip(),
        body=letter.body,
        attachments=files,
        correlation_id=message_id,
        idempotency_key=letter.key,
        sent_at=now,
        expires_at=None if lasts is None else now + timedelta(seconds=lasts),
    )
    return check_envelope(envelope)


def reply_to(original: Envelope, body: str, key: str, run: str) -> Envelope:
    """The user's reply to a message of an agent."""
    subject = original.subject if original.subject.startswith("Re: ") else f"Re: {original.subject}".strip()
    envelope = Envelope(
        id=message_id_of(key, run),
        sender=USER,
        recipient=original.sender,
        kind="reply",
        subject=subject,
        body=body,
        reply_to=original.id,
        correlation_id=original.correlation_id or original.id,
        idempotency_key=key,
        sent_at=datetime.now(UTC),
    )
    return check_envelope(envelope)


def message_id_of(key: str, run: str) -> str:
    """A new id; of a key always the same in a run."""
    if not key:
        return f"m-{secrets.token_hex(6)}"
    if len(key) > MAX_KEY:
        raise ActionRefused(f"the key has {len(key)} characters", operation="send", hint=f"at most {MAX_KEY}")
    text = json.dumps([run, USER, key])
    return f"m-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def same_message(one: Envelope, other: Envelope) -> bool:
    """Whether two envelopes say the same to the same agent."""
    return one.model_dump(exclude=_OF_ITS_TIME) == other.model_dump(exclude=_OF_ITS_TIME)


_OF_ITS_TIME = {"sent_at", "expires_at"}


def _seconds_until_expiry(letter: Letter) -> float | None:
    limits = [item for item in (letter.expires, letter.timeout if letter.sync else None) if item is not None]
    if any(item <= 0 for item in limits):
        raise ActionRefused("a time-out of nothing", operation="send", hint="give at least a second, such as 30s")
    return min(limits, default=None)
