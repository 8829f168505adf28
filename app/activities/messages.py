"""What the tools for messages do: send, reply, confirm, wait for a reply, read what came in."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from app.activities.arrivals import inbox_topic, reply_topic
from app.activities.attachments import collect
from app.activities.mail_room import FROM_INBOX, MailRoom
from app.activities.member import Member
from app.activities.obstacles import Obstacles, circle_words, passes
from app.activities.own_workflow import OwnWorkflow
from app.activities.waiting import Awaited, Waiting
from app.domain import actions as act
from app.domain import events as ev
from app.domain import prompts
from app.domain.envelope import Await, Envelope, MessageState, check_envelope, reference
from app.domain.errors import ActionRefused
from app.domain.ports import ActionResult
from app.domain.text import check_text
from app.store.postbox import MessageRow, Wait
from app.workflows import steps

MessageAction = act.SendMessage | act.Reply | act.Confirm | act.AwaitReply | act.ReadInbox

MAX_HOPS = 32
MAX_NAME_BYTES = 100
MAX_KEY_BYTES = 200
_TRIES = 100
SOON_SECONDS = 5
"""A message that is on record is in its recipient's inbox before."""
REFUSED_WAIT = "Refused: would_deadlock"
_READ_ALREADY = "Read in this turn already:"


class Messages:
    """The messages of all agents at work; ``action_id`` names a call, the same for every time it is made."""

    def __init__(self, mail: MailRoom, workflow: OwnWorkflow, waiting: Waiting) -> None:
        self._mail = mail
        self._workflow = workflow
        self._waiting = waiting
        self._obstacles = Obstacles(mail.postbox)

    async def do(self, member: Member, action: MessageAction, action_id: str) -> ActionResult:
        """Carry out a tool call. Raises ActionRefused in words for the agent."""
        match action:
            case act.SendMessage():
                return await self.send(member, action, action_id)
            case act.Reply():
                return await self.reply(member, action, action_id)
            case act.Confirm():
                return await self.confirm(member, action, action_id)
            case act.AwaitReply():
                return await self.await_reply(member, action)
            case act.ReadInbox():
                return await self.read_inbox(member, action.wait_seconds)

    async def send(self, member: Member, action: act.SendMessage, action_id: str) -> ActionResult:
        """Send a message; with mode sync, wait for what becomes of it."""
        mode = action.mode or ("sync" if action.kind == "confirm" else "async")
        awaits: Await | None = action.wait_for if mode == "sync" else None
        message_id, known = self._try(action_id)
        if known is not None:
            return await self._again(member, known, awaits)
        now = datetime.now(UTC)
        seconds = action.timeout_seconds if awaits else action.expires_after_seconds
        envelope = Envelope(
            id=message_id,
            sender=member.order.agent,
            recipient=action.recipient.strip(),
            mode=mode,
            kind=action.kind,
            subject=action.subject.strip(),
            body=action.body,
            correlation_id=message_id,
            idempotency_key=action.idempotency_key,
            sent_at=now,
            expires_at=None if seconds is None else now + timedelta(seconds=seconds),
            hops=self._hops(member, now) if awaits else (),
        )
        return await self._dispatch(member, envelope, awaits, action.attachments)

    async def reply(self, member: Member, action: act.Reply, action_id: str) -> ActionResult:
        """Reply to a message this agent has received."""
        original = self._original(member, action.message_id.strip(), "reply")
        message_id, known = self._try(action_id)
        if known is not None:
            return await self._again(member, known, None)
        envelope = _reply_to(original, message_id, action.body, action.idempotency_key)
        return await self._dispatch(member, envelope, None, action.attachments)

    async def confirm(self, member: Member, action: act.Confirm, action_id: str) -> ActionResult:
        """Accept or decline: a reply that carries the decision."""
        original = self._original(member, action.message_id.strip(), "confirm")
        word = "accepted" if action.decision == "accept" else "declined"
        if original.kind != "confirm":
            raise _refused("confirm", f"{original.id} does not ask you to confirm anything", "use reply")
        if action.decision == "decline" and not action.reason.strip():
            raise _refused("confirm", "to decline needs a reason", "say why in 'reason'")
        message_id, known = self._try(action_id)
        if known is not None:
            return ActionResult(f"You have decided on {original.id} already ({message_id}).")
        body = f"{word.capitalize()}: {action.reason.strip()}" if action.reason.strip() else f"{word.capitalize()}."
        envelope = _reply_to(original, message_id, body, "").model_copy(update={"data": {"decision": action.decision}})
        result = await self._dispatch(member, envelope, None, ())
        return ActionResult(f"You {word} {original.id}. {result.text}") if result.ok else result

    async def await_reply(self, member: Member, action: act.AwaitReply) -> ActionResult:
        """Wait, or wait on, for the reply to a message of this agent."""
        order, message_id, now = member.order, action.message_id.strip(), datetime.now(UTC)
        row = self._mail.postbox.find(message_id)
        if row is None or (row.fleet, row.run, row.sender) != (order.fleet, order.run, order.agent):
            raise _refused("await_reply", f"you have sent no message {message_id!r}", "use the id from sending it")
        awaited = Awaited(message_id, row.recipient, "reply", now + timedelta(seconds=action.timeout_seconds))
        return await self._wait(member, awaited, now)

    async def read_inbox(self, member: Member, seconds: int) -> ActionResult:
        """Put what came in before the agent; what it read in this turn already comes again, marked as such.

        What is on record as accepted for it is given at once: its workflow is told meanwhile. Only a request for
        confirmation goes through the workflow first, as that binds what the agent may do next; and the first look of a
        turn that was cut does, as what was given before the cut may never have come before the agent.
        """
        rows = await self._waiting.unread(member, seconds)
        if rows and not member.look_back and all(row.kind != "confirm" for row in rows):
            return await self._give(member, [row.id for row in rows])
        soon = max(seconds, SOON_SECONDS) if rows else 0
        envelopes = self._mail.envelopes(await self._waiting.inbox(member, soon))
        member.look_back = False
        new = [item for item in envelopes if self._waiting.is_new(item.id)]
        old = [item for item in envelopes if item not in new]
        texts = await self._mail.texts(member.sandbox, new)
        again = await self._mail.texts(member.sandbox, old)
        if new or seconds or not old:
            texts = texts or ["No new messages."]
            again = [_READ_ALREADY, *again] if again else []
        # Otherwise it is the same call once more, perhaps of a program that was cut: it gets the same answer.
        self._mail.journal.append(*self._mail.moved(member.order, [item.id for item in new], MessageState.READ))
        return ActionResult("\n\n".join([*texts, *again]))

    async def _give(self, member: Member, message_ids: list[str]) -> ActionResult:
        envelopes = self._mail.envelopes(message_ids)
        texts = await self._mail.texts(member.sandbox, envelopes)
        read = self._mail.moved(member.order, message_ids, MessageState.READ, FROM_INBOX)
        self._mail.journal.append(*read, lazily=True)  # the power gone, it comes before the agent again
        self._workflow.end_wait(member, steps.WaitEnd(message_id="", taken=tuple(message_ids), again=True))
        return ActionResult("\n\n".join(texts))

    def _try(self, action_id: str) -> tuple[str, MessageRow | None]:
        """The message of a call, and where it stands; a new one when the last was refused for what passes."""
        for number in range(_TRIES):
            digest = hashlib.sha256(f"{action_id}/{number}".encode()).hexdigest()[:12] if number else action_id
            known = self._mail.postbox.find(f"m-{digest}")
            if known is None or not passes(known):
                return f"m-{digest}", known
        raise _refused("send message", f"it was refused {_TRIES} times", "end your turn")

    async def _again(self, member: Member, row: MessageRow, awaits: Await | None) -> ActionResult:
        """The same call once more: what it came to, and for a sync one, what it waits for."""
        if row.state is MessageState.REFUSED:
            return ActionResult(f"Refused: {row.reason.removesuffix('.')}.", ok=False)
        now = datetime.now(UTC)
        if awaits and row.expires_at:
            until = datetime.fromisoformat(row.expires_at)
            result = await self._wait(member, Awaited(row.id, row.recipient, awaits, until), now)
            if result.text.startswith(REFUSED_WAIT):  # the wait is refused, not the message: it must not be sent again
                words = result.text.removeprefix("Refused: ")
                return ActionResult(f"Accepted as {row.id}; you cannot wait for it now: {words}")
            return result
        if row.state is MessageState.HELD:
            return ActionResult(f"Held as {row.id}: the user is asked whether {row.recipient} may get it.")
        return ActionResult(f"Accepted as {row.id}.")

    async def _dispatch(
        self, member: Member, envelope: Envelope, awaits: Await | None, paths: tuple[str, ...]
    ) -> ActionResult:
        check_text(envelope.recipient, what="the recipient", max_bytes=MAX_NAME_BYTES)
        check_text(envelope.idempotency_key, what="the idempotency key", max_bytes=MAX_KEY_BYTES)
        check_envelope(envelope, self._obstacles.rules(member).max_bytes)
        if paths:
            attachments = await collect(member.sandbox, paths, self._mail.files)
            envelope = envelope.model_copy(update={"attachments": attachments})
        # Its acceptance is put on record durably, and this with it, before the agent is told.
        if not self._mail.journal.put_body(envelope.id, envelope, lazily=True):
            envelope = self._mail.journal.body(envelope.id, Envelope)  # that of the first try
        wait, now = self._as_wait(member, envelope, awaits), datetime.now(UTC)
        with self._obstacles.checked(member, envelope, wait, now) as obstacle:
            outcome = await self._submit(member, envelope, awaits, obstacle)
        if not outcome.ok or awaits is None or envelope.expires_at is None:
            # Counted here: the workflow may not know yet that a reply was given as an answer.
            unread = self._mail.postbox.count_unread(member.order.fleet, member.order.run, member.order.agent)
            return ActionResult(outcome.text + prompts.unread_note(unread), ok=outcome.ok)
        return await self._waiting.outcome(
            member, Awaited(envelope.id, envelope.recipient, awaits, envelope.expires_at)
        )

    async def _submit(
        self, member: Member, envelope: Envelope, awaits: Await | None, obstacle: str
    ) -> steps.ActionOutcome:
        """Have the agent's workflow decide, and put what it accepts on record before the agent is told."""
        message = reference(envelope, awaits, attended=self._is_attended(member, envelope))
        received = envelope.reply_to is not None  # looked up before the reply was made
        order = steps.SendOrder(action_id=envelope.id, message=message, obstacle=obstacle, received=received)
        accepted = False
        try:
            outcome = await self._workflow.outcome(member, "send", order)
            accepted = outcome.ok
        finally:
            if awaits is not None and not accepted:
                self._mail.postbox.end_wait(envelope.id)
        row = self._mail.postbox.find(envelope.id)
        if outcome.ok and (row is None or row.state not in (MessageState.HELD, MessageState.REFUSED)):
            self._mail.journal.append(*self._taken(member, envelope))
        return outcome

    def _is_attended(self, member: Member, envelope: Envelope) -> bool:
        if envelope.kind == "confirm":
            return False  # its workflow hands it out
        topics = [inbox_topic(member.order.fleet, envelope.recipient)]
        topics += [reply_topic(envelope.reply_to)] if envelope.reply_to else []
        return any(self._mail.arrivals.is_watched(topic) for topic in topics)

    def _taken(self, member: Member, envelope: Envelope) -> list[ev.Event]:
        order = member.order
        taken = ev.MessageAccepted(
            id=f"{envelope.id}/taken",
            at=datetime.now(UTC),
            fleet=order.fleet,
            run=order.run,
            agent=order.agent,
            envelope=envelope,
        )
        if envelope.reply_to is None:
            return [taken]
        # Who answers has read what it answers, whether or not its program has shown that yet.
        read = self._mail.moved(order, [envelope.reply_to], MessageState.READ)
        return [taken, *read, *self._mail.moved(order, [envelope.reply_to], MessageState.ANSWERED)]

    async def _wait(self, member: Member, awaited: Awaited, now: datetime) -> ActionResult:
        order = member.order
        until = self._waiting.stays_until(awaited.until, now)
        wait = Wait(awaited.message_id, order.fleet, order.run, order.agent, awaited.recipient, awaited.awaits, until)
        if words := circle_words(self._mail.postbox.begin_wait(wait, now)):
            return ActionResult(f"Refused: {words}.", ok=False)
        return await self._waiting.outcome(member, awaited)

    def _as_wait(self, member: Member, envelope: Envelope, awaits: Await | None) -> Wait | None:
        if awaits is None or envelope.expires_at is None:
            return None
        order, until = member.order, self._waiting.stays_until(envelope.expires_at, envelope.sent_at)
        return Wait(envelope.id, order.fleet, order.run, order.agent, envelope.recipient, awaits, until)

    def _hops(self, member: Member, now: datetime) -> tuple[str, ...]:
        order = member.order
        waiting = self._mail.postbox.waiting_for(order.fleet, order.run, order.agent, now)
        return (*reversed(waiting), order.agent)[-MAX_HOPS:]

    def _original(self, member: Member, message_id: str, tool: str) -> Envelope:
        order = member.order
        known = self._mail.journal.find_body(message_id, Envelope) if message_id.startswith("m-") else None
        row = self._mail.postbox.find(message_id)
        if known is None or row is None or (row.fleet, row.run, row.recipient) != (order.fleet, order.run, order.agent):
            raise _refused(tool, f"you have received no message {message_id!r}", "use the id in its first line")
        return known


def _reply_to(original: Envelope, message_id: str, body: str, key: str) -> Envelope:
    return Envelope(
        id=message_id,
        sender=original.recipient,
        recipient=original.sender,
        kind="reply",
        subject=original.subject if original.subject.startswith("Re: ") else f"Re: {original.subject}".strip(),
        body=body,
        reply_to=original.id,
        correlation_id=original.correlation_id or original.id,
        idempotency_key=key,
        sent_at=datetime.now(UTC),
    )


def _refused(operation: str, message: str, hint: str) -> ActionRefused:
    return ActionRefused(message, operation=operation, hint=hint)
