"""What keeps a message from being sent that only the host can count: full inboxes, rates, circles of waits."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from app.activities.member import Member
from app.domain.envelope import USER, Envelope, MessageState
from app.domain.rules import MessageRules
from app.store.postbox import MessageRow, Postbox, Wait
from app.workflows.state import MAX_INBOX

RATE_WINDOW = timedelta(hours=1)

_FULL = "inbox_full"
_RATE = "rate_limit"
_CIRCLE = "would_deadlock"
_PASSING = tuple(f"{word}: " for word in (_FULL, _RATE, _CIRCLE))

Key = tuple[str, str, str]


class Obstacles:
    """Counts exactly, even while several messages are on their way at once: those are reserved here in memory."""

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox
        self._coming: defaultdict[Key, set[str]] = defaultdict(set)
        self._going: defaultdict[Key, set[str]] = defaultdict(set)
        self._at_most: dict[Key, int] = {}
        """How many messages an agent can have sent within the window: those counted last, and each try since."""

    def rules(self, member: Member) -> MessageRules:
        """What the agent's rules.md says of messages now. Raises ConfigError."""
        return member.rules.rules().messages

    @contextlib.contextmanager
    def checked(self, member: Member, envelope: Envelope, wait: Wait | None, now: datetime) -> Iterator[str]:
        """Why the message cannot be sent, or nothing: then its place is kept until the end of the block.

        ``wait`` is put on record unless something is in its way.
        """
        order = member.order
        coming = self._coming[order.fleet, order.run, envelope.recipient]
        going = self._going[order.fleet, order.run, order.agent]
        found = self._rate(member, envelope, len(going), now) or self._full(member, envelope, coming)
        if not found and wait is not None:
            found = circle_words(self._postbox.begin_wait(wait, now))
        if found:
            yield found
            return
        coming.add(envelope.id)
        going.add(envelope.id)
        try:
            yield ""
        finally:
            coming.discard(envelope.id)
            going.discard(envelope.id)

    def _full(self, member: Member, envelope: Envelope, coming: set[str]) -> str:
        order = member.order
        if envelope.recipient == USER or self._is_awaited(member, envelope):
            return ""
        if self._postbox.count_unread(order.fleet, order.run, envelope.recipient) + len(coming) < MAX_INBOX:
            return ""
        # A message can be reserved and on record at the same time: count it once.
        unread = {row.id for row in self._postbox.unread(order.fleet, order.run, envelope.recipient)}
        if len(unread | coming) < MAX_INBOX:
            return ""
        name = envelope.recipient
        return (
            f"{_FULL}: {name} has {MAX_INBOX} unread messages and takes no more now; "
            f"go on without, or end your turn and write again later"
        )

    def _rate(self, member: Member, envelope: Envelope, going: int, now: datetime) -> str:
        allowed = self.rules(member).max_per_hour
        key = (member.order.fleet, member.order.run, member.order.agent)
        self._at_most[key] = self._at_most.get(key, allowed) + 1
        if envelope.data.get("decision") is not None:
            return ""  # others wait for it
        if self._at_most[key] <= allowed:
            return ""  # counting takes longer the more there are
        sent = self._postbox.count_sent(*key, now - RATE_WINDOW) + going
        self._at_most[key] = sent + 1
        if sent < allowed:
            return ""
        return (
            f"{_RATE}: your rules allow {allowed} messages an hour and you have sent {sent}; "
            f"go on without, or end your turn and write again later"
        )

    def _is_awaited(self, member: Member, envelope: Envelope) -> bool:
        """Whether the recipient waits for this very answer: it does not come by its inbox."""
        order = member.order
        waits = self._postbox.waits(order.fleet, order.run) if envelope.reply_to else []
        return any(wait.message_id == envelope.reply_to for wait in waits)


def circle_words(circle: tuple[str, ...]) -> str:
    """A circle of waits in words; nothing for none."""
    if not circle:
        return ""
    return (
        f"{_CIRCLE}: {' waits for '.join(circle)}; "
        "answer what you were asked first, or send it with mode async, or end your turn"
    )


def passes(row: MessageRow) -> bool:
    """Whether a message was refused for something that passes: the same call again is then a new try."""
    return row.state is MessageState.REFUSED and row.reason.startswith(_PASSING)
