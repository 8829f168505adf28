"""What everybody needs who has to do with messages: their texts, where they stand, their files, and news of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.activities.arrivals import Arrivals
from app.activities.attachments import hand_over
from app.config import Paths
from app.domain import events as ev
from app.domain import prompts
from app.domain.envelope import Envelope, MessageState
from app.domain.ports import Sandbox
from app.store.attachments import AttachmentStore
from app.store.journal import Journal
from app.store.postbox import MessageRow, Postbox
from app.workflows.steps import AgentOrder

AS_ANSWER = "given as the answer of a tool call"
"""Why a message is read that must not be put before the agent a second time."""
FROM_INBOX = "read from its inbox"
"""The same, but for its asking for it once more in the same turn: ``prompts`` leaves it out, ``envelopes`` does not."""


@dataclass(frozen=True, slots=True)
class MailRoom:
    """Made once for an engine, beside its journal."""

    journal: Journal
    postbox: Postbox
    files: AttachmentStore
    arrivals: Arrivals

    @classmethod
    def open(cls, journal: Journal, paths: Paths) -> MailRoom:
        """The mail room of the journal at ``paths``; ``close`` it before the journal."""
        arrivals = Arrivals()
        journal.listen(arrivals.hear)
        return cls(journal, Postbox(paths.journal_db), AttachmentStore(paths.attachments), arrivals)

    def close(self) -> None:
        """Close what was opened here."""
        self.postbox.close()

    def envelopes(self, message_ids: Iterable[str]) -> list[Envelope]:
        """Messages with their texts, without those the agent was given as the answer of a tool call."""
        return self._without(message_ids, AS_ANSWER)

    def for_prompt(self, message_ids: Iterable[str]) -> list[Envelope]:
        """Messages with their texts, without those that a tool call of an earlier turn gave to the agent.

        The workflow that has them in a turn did not hear of that: the engine was killed before it could tell it. It may
        have been killed before the answer of the call arrived, too: when the turn was taken up again afterwards, and
        its agent did not ask for its inbox any more, the text comes again.
        """
        kept = [item for item in message_ids if not self._came_before_it(self.postbox.find(item))]
        return [self.journal.body(item, Envelope) for item in kept]

    async def texts(self, sandbox: Sandbox | None, envelopes: Sequence[Envelope]) -> list[str]:
        """Messages as the agent reads them, once their files lie in its machine."""
        return [prompts.message_block(item, trouble=await hand_over(sandbox, item, self.files)) for item in envelopes]

    def _without(self, message_ids: Iterable[str], *reasons: str) -> list[Envelope]:
        kept = [item for item in message_ids if not _was_read(self.postbox.find(item), reasons)]
        return [self.journal.body(item, Envelope) for item in kept]

    def _came_before_it(self, row: MessageRow | None) -> bool:
        if row is None or not _was_read(row, (FROM_INBOX,)):
            return row is not None and (row.state is MessageState.ANSWERED or _was_read(row, (AS_ANSWER,)))
        cut = self.journal.last("turn_resumed", fleet=row.fleet, run=row.run, agent=row.recipient)
        return cut is None or cut.at < datetime.fromisoformat(row.at)

    def moved(
        self, order: AgentOrder, message_ids: Iterable[str], state: MessageState, reason: str = ""
    ) -> list[ev.MessageMoved]:
        """Facts of messages' new state, named so that saying them twice is saying them once."""
        base = {"at": datetime.now(UTC), "fleet": order.fleet, "run": order.run, "agent": order.agent}
        return [
            ev.MessageMoved.model_validate(
                {**base, "id": f"{item}/{state}", "message_id": item, "state": state, "reason": reason}
            )
            for item in message_ids
        ]


def _was_read(row: MessageRow | None, reasons: Sequence[str]) -> bool:
    return row is not None and row.state is MessageState.READ and row.reason in reasons
