"""A tool call that waits for what becomes of a message: a bounded time, roused by facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.activities.arrivals import inbox_topic, reply_topic, turn_topic
from app.activities.mail_room import AS_ANSWER, MailRoom
from app.activities.member import Member
from app.activities.own_workflow import OwnWorkflow
from app.domain import prompts
from app.domain.envelope import USER, Await, Envelope, MessageState
from app.domain.ports import ActionResult
from app.store.postbox import UNREAD, MessageRow
from app.workflows import steps

BLOCK_SECONDS = 45.0
"""How long one tool call may wait; then the agent is told to ask again."""
SLACK_SECONDS = 15.0
"""How long a wait stays on record after its call, so that the next call can take it up."""
EXPIRY_SECONDS = 5.0
"""How long the engine may take to say that a message has expired."""

USER_LOOK_SECONDS = 1.0
"""How long news of the user may go unheard: what another process records (a message marked as read at the command line
or in the window, an answer) rouses nobody here. Its look costs one row of an index."""

_READ = (MessageState.READ, MessageState.ANSWERED)


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a call waits for: until ``until`` at most, over as many calls as that takes."""

    message_id: str
    recipient: str
    awaits: Await
    until: datetime


class Waiting:
    """Waits for replies, for messages to be read, and for anything to come in."""

    def __init__(self, mail: MailRoom, workflow: OwnWorkflow, block_seconds: float = BLOCK_SECONDS) -> None:
        self._mail = mail
        self._workflow = workflow
        self.block = timedelta(seconds=block_seconds)

    def stays_until(self, awaited_until: datetime, now: datetime) -> datetime:
        """Until when the wait of one call is on record."""
        return min(awaited_until, now + self.block + timedelta(seconds=SLACK_SECONDS))

    async def outcome(self, member: Member, awaited: Awaited) -> ActionResult:
        """What became of a message, in words for the agent; or that it is pending."""
        order, turn = member.order, member.turn
        call_ends = datetime.now(UTC) + self.block
        topics = [awaited.message_id, turn_topic(order.fleet, order.agent)]
        topics += [reply_topic(awaited.message_id)] if awaited.awaits == "reply" else []
        with self._mail.arrivals.watch(*topics) as watch:
            while True:
                now, row = datetime.now(UTC), self._mail.postbox.find(awaited.message_id)
                if (found := await self._found(member, awaited, row)) is not None:
                    return found
                if member.ending or member.turn != turn:
                    return self._end(member, awaited, "Your turn is over: you wait for nothing any more.", ok=False)
                ends = awaited.until + timedelta(seconds=EXPIRY_SECONDS if _is_unread(row) else 0)
                if now >= ends:
                    return self._end(member, awaited, _too_late(awaited, row), ok=False)
                if now >= call_ends:
                    return _pending(awaited)
                left = (min(ends, call_ends) - now).total_seconds()
                await watch.news(min(left, USER_LOOK_SECONDS) if awaited.recipient == USER else left)

    async def unread(self, member: Member, seconds: float) -> list[MessageRow]:
        """What the agent has yet to read, by the record; at the latest after ``seconds``."""
        order, ends = member.order, datetime.now(UTC) + timedelta(seconds=seconds)
        topics = inbox_topic(order.fleet, order.agent), turn_topic(order.fleet, order.agent)
        with self._mail.arrivals.watch(*topics) as watch:
            while True:
                rows = self._mail.postbox.unread(order.fleet, order.run, order.agent)
                left = (ends - datetime.now(UTC)).total_seconds()
                if rows or left <= 0 or member.ending:
                    return rows
                await watch.news(left)

    async def inbox(self, member: Member, seconds: float) -> tuple[str, ...]:
        """Ids of the messages that came in, at the latest after ``seconds``; read ones come along."""
        order, ends = member.order, datetime.now(UTC) + timedelta(seconds=seconds)
        topics = inbox_topic(order.fleet, order.agent), turn_topic(order.fleet, order.agent)
        with self._mail.arrivals.watch(*topics) as watch:
            while True:
                ids = await self._workflow.read_inbox(member)
                left = (ends - datetime.now(UTC)).total_seconds()
                if left <= 0 or member.ending or any(self.is_new(item) for item in ids):
                    return ids
                await watch.news(left)

    def is_new(self, message_id: str) -> bool:
        """Whether the agent has not read a message yet."""
        row = self._mail.postbox.find(message_id)
        return row is None or row.state not in _READ

    async def _found(self, member: Member, awaited: Awaited, row: MessageRow | None) -> ActionResult | None:
        if row is not None and row.state is MessageState.REFUSED:
            return self._end(member, awaited, f"Refused: {row.reason.removesuffix('.')}.", ok=False)
        if row is not None and row.state is MessageState.EXPIRED:
            why = row.reason or "was not read in time"
            return self._end(member, awaited, f"Expired: {awaited.message_id} to {awaited.recipient}: {why}.", ok=False)
        if awaited.awaits == "reply":
            replies = self._mail.postbox.replies(awaited.message_id)
            return await self._give(member, awaited, [reply.id for reply in replies]) if replies else None
        if row is None or row.state not in _READ:
            return None
        more = " It has been answered: call read_inbox." if row.state is MessageState.ANSWERED else ""
        return self._end(member, awaited, f"{_name(awaited)} read {awaited.message_id}.{more}")

    async def _give(self, member: Member, awaited: Awaited, replies: list[str]) -> ActionResult:
        envelopes = [self._mail.journal.body(item, Envelope) for item in replies]
        text = "\n\n".join(await self._mail.texts(member.sandbox, envelopes))
        read = self._mail.moved(member.order, replies, MessageState.READ, AS_ANSWER)
        self._mail.journal.append(*read, lazily=True)  # the power gone, it comes before the agent again
        return self._end(member, awaited, text, taken=tuple(replies))

    def _end(
        self, member: Member, awaited: Awaited, text: str, *, ok: bool = True, taken: tuple[str, ...] = ()
    ) -> ActionResult:
        order = member.order
        self._mail.postbox.end_wait(awaited.message_id)
        self._workflow.end_wait(member, steps.WaitEnd(message_id=awaited.message_id, taken=taken))
        unread = self._mail.postbox.count_unread(order.fleet, order.run, order.agent)
        return ActionResult(text + prompts.unread_note(unread), ok=ok)


def _is_unread(row: MessageRow | None) -> bool:
    return row is None or row.state in (*UNREAD, MessageState.HELD)


def _name(awaited: Awaited) -> str:
    return "The user has" if awaited.recipient == USER else f"{awaited.recipient} has"


def _too_late(awaited: Awaited, row: MessageRow | None) -> str:
    name, later = (
        _name(awaited),
        "A later answer comes as an ordinary message: go on without it, or end your turn.",
    )
    if _is_unread(row):
        return f"Timed out: {name} not read {awaited.message_id} in time. {later}"
    return f"Timed out: {name} read {awaited.message_id} and has not answered in time. {later}"


def _pending(awaited: Awaited) -> ActionResult:
    what = "read" if awaited.awaits == "ack" else "answered"
    return ActionResult(
        f"pending: {_name(awaited)} not {what} {awaited.message_id} yet. Call await_reply with message_id "
        f"{awaited.message_id!r} to wait on, or go on without; an answer that comes later is in your inbox."
    )
