"""What becomes of a message: found in the journal, so that no engine has to be asked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from app.config import Paths
from app.domain.envelope import Envelope, MessageState
from app.domain.errors import ActionRefused, AgentEnded, MessageExpired, ReplyPending
from app.domain.events import ENDED, AgentMoved
from app.store.journal import Journal, JournalReader
from app.store.postbox import MessageRow, Postbox

POLL_SECONDS: Final = 0.01
"""Between two looks whether anything was written: each costs microseconds."""

GRACE_SECONDS: Final = 10.0
"""How long after its time an unread message may take to be put on record as expired."""

_SEEN = (MessageState.READ, MessageState.ANSWERED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a message of the user; ``reply`` once there is one that was waited for."""

    id: str
    state: MessageState
    reply: Envelope | None = None


class Follower:
    """Follows one message of the user until what was waited for is there."""

    def __init__(self, paths: Paths, journal: Journal, message: Envelope, run: str, fleet: str) -> None:
        self._journal = journal
        self._message = message
        self._fleet, self._run = fleet, run
        self._reader = JournalReader(paths.journal_db)
        self._postbox = Postbox(paths.journal_db)

    async def wait(self, awaits: str, seconds: float) -> Outcome:
        """The outcome. Raises ActionRefused, MessageExpired, AgentEnded, or ReplyPending when the time is over."""
        until = time.monotonic() + seconds
        try:
            while True:
                found = self._look(awaits) if self._reader.changed() else None
                if found is not None:
                    return found
                self._check_time(until)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            self._reader.close()
            self._postbox.close()

    def _look(self, awaits: str) -> Outcome | None:
        row = self._postbox.find(self._message.id)
        if row is None:
            return None
        replies = self._postbox.replies(row.id)
        if awaits == "reply" and replies:
            return Outcome(row.id, MessageState.ANSWERED, self._journal.body(replies[0].id, Envelope))
        if awaits == "ack" and (row.state in _SEEN or replies):
            return Outcome(row.id, row.state)
        self._check_state(row)
        self._check_agent(row)
        return None

    def _check_state(self, row: MessageRow) -> None:
        if row.state is MessageState.REFUSED:
            raise ActionRefused(f"{row.id} was refused: {row.reason}", operation="send", hint="see 'skerry messages'")
        if row.state is MessageState.EXPIRED:
            raise MessageExpired(
                f"{row.recipient} did not read {row.id} in time: it is withdrawn",
                operation="send",
                hint=f"see what {row.recipient} does with 'skerry status', or give it more time with --timeout",
            )

    def _check_agent(self, row: MessageRow) -> None:
        moved = self._reader.last("agent_moved", fleet=self._fleet, run=self._run, agent=row.recipient)
        if isinstance(moved, AgentMoved) and moved.state in ENDED:
            why = f"{moved.state.value}: {moved.reason}" if moved.reason else moved.state.value
            raise AgentEnded(
                f"{row.recipient} ended before it had {'answered' if row.state in _SEEN else 'read'} {row.id} ({why})",
                operation="send",
                hint=f"start it again with 'skerry start {row.recipient}'",
            )

    def _check_time(self, until: float) -> None:
        now = time.monotonic()
        if now < until:
            return
        row = self._postbox.find(self._message.id)
        read = row is not None and row.state in _SEEN
        if not read and now < until + GRACE_SECONDS:
            return
        who = self._message.recipient
        words = "has read it and not answered yet" if read else "has not read it, as far as is known"
        raise ReplyPending(
            f"{who} {words}: the time is over",
            operation="send",
            hint=f"an answer comes to you all the same: skerry messages --thread {self._message.correlation_id}",
        )
