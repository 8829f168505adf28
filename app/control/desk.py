"""The user's desk: what the user writes to agents, and what agents have written to the user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from app.config import Paths
from app.control.letters import Letter, envelope_of, reply_to, same_message
from app.control.outcomes import Follower, Outcome
from app.control.requests import Requests
from app.domain import events as ev
from app.domain.envelope import USER, Envelope, MessageState, reference
from app.domain.errors import ActionRefused, NotFound
from app.store.attachments import AttachmentStore
from app.store.journal import Journal
from app.store.postbox import UNREAD, Postbox


class Desk:
    """Sends for the user and keeps track of what the user was shown."""

    def __init__(self, paths: Paths, journal: Journal, requests: Requests) -> None:
        self._paths = paths
        self._journal = journal
        self._requests = requests
        self._files = AttachmentStore(paths.attachments)

    async def post(self, fleet: str, letter: Letter) -> Envelope:
        """Send; the envelope as it was accepted. Of a key that was used before: the one that was sent then."""
        run = self._run(fleet)
        files = await asyncio.to_thread(self._files.keep_attachments, letter.attachments) if letter.attachments else ()
        return await self._hand_over(fleet, envelope_of(letter, run, files), letter)

    async def ask(self, fleet: str, letter: Letter) -> Outcome:
        """Send and wait for what came of it; the reply counts as read, as the caller shows it."""
        sent = await self.post(fleet, letter)
        follower = Follower(self._paths, self._journal, sent, self._run(fleet), fleet)
        outcome = await follower.wait(letter.awaits, letter.timeout)
        if outcome.reply is not None:
            mark_read(self._paths, self._journal, [outcome.reply.id])
        return outcome

    async def reply(self, fleet: str, message_id: str, body: str, key: str = "") -> Envelope:
        """Answer a message of an agent. Raises NotFound when the user has no such message."""
        original = self._journal.find_body(message_id, Envelope)
        if original is None or original.recipient != USER:
            raise NotFound(
                f"you have received no message {message_id!r}", operation="reply", hint="see 'skerry messages'"
            )
        if original.kind == "confirm":
            raise ActionRefused(
                f"{message_id} asks you to accept or decline", operation="reply", hint="see 'skerry interrupts'"
            )
        envelope = await self._hand_over(fleet, reply_to(original, body, key, self._run(fleet)))
        mark_read(self._paths, self._journal, [message_id])
        return envelope

    def _run(self, fleet: str) -> str:
        started = next((item for item in self._journal.newest_runs() if item.fleet == fleet), None)
        return "" if started is None else started.run

    async def _hand_over(self, fleet: str, envelope: Envelope, letter: Letter | None = None) -> Envelope:
        self._journal.put_body(envelope.id, envelope)
        kept = self._journal.body(envelope.id, Envelope)
        if not same_message(kept, envelope):
            raise ActionRefused(
                f"the key {envelope.idempotency_key!r} belongs to another message ({envelope.id})",
                operation="send",
                hint="take a new key for a new message",
            )
        if not self._journal.has(f"{envelope.id}/taken"):
            ref = reference(kept, letter.awaits if letter is not None and letter.sync else None)
            await self._requests.update(fleet, envelope.recipient, "receive", ref, update_id=envelope.id)
        return kept


def mark_read(paths: Paths, journal: Journal, message_ids: Iterable[str]) -> None:
    """Put on record that the user has these messages in full before them; others than the user's own do not count."""
    postbox = Postbox(paths.journal_db)
    try:
        rows = [row for item in message_ids if (row := postbox.find(item)) is not None]
    finally:
        postbox.close()
    now = datetime.now(UTC)
    facts = [
        ev.MessageMoved(
            id=f"{row.id}/read",
            at=now,
            fleet=row.fleet,
            run=row.run,
            agent=row.sender,
            message_id=row.id,
            state=MessageState.READ,
        )
        for row in rows
        if row.recipient == USER and row.state in UNREAD
    ]
    if facts:
        journal.append(*facts)


def shown_to_user(paths: Paths, message_ids: Iterable[str]) -> None:
    """``mark_read`` for who has no connection to the engine; it needs none."""
    journal = Journal(paths.journal_db)
    try:
        mark_read(paths, journal, message_ids)
    finally:
        journal.close()
