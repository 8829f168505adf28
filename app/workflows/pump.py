"""The outbox of an agent: what was accepted of it is handed to its recipients, in order, each message once."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain.envelope import USER, MessageRef, MessageState
    from app.workflows import steps
    from app.workflows.facts import Recorder
    from app.workflows.state import AgentState

BATCH = 50
"""Messages that one signal carries at most."""

ABSENCE_SECONDS = (0.25, 0.75, 1.5)
"""Pauses between looks for a recipient that is not there: it may be about to start, with its team or again."""

GATHER = timedelta(seconds=2)
"""How long messages are gathered that their recipient has from the record already: one signal brings them all, and
what it asks of its workflow meanwhile, its answer above all, does not queue behind that signal."""

_RETRY = timedelta(seconds=2)


class Pump:
    """Empties ``state.outbox``: first in, first out for each recipient, one signal on its way to each of them.

    Nobody waits for it: the sender has its answer when a message lies in the outbox. A message leaves the outbox once
    the server has the signal, so that neither a replay nor a new run hands it over again.
    """

    def __init__(self, order: steps.AgentOrder, state: AgentState, facts: Recorder) -> None:
        self._order = order
        self._state = state
        self._facts = facts
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._held = False
        self._hurry = False
        self._over = False

    async def run(self) -> None:
        """Hand over what is there and what comes, until ``close``."""
        while True:
            await workflow.wait_condition(lambda: self._over or bool(self._unserved()))
            if self._over:
                return
            for recipient in self._unserved():
                self._serving[recipient] = asyncio.create_task(self._serve(recipient))

    def hold(self) -> None:
        """Begin nothing new; what is left in the outbox goes over to the next run."""
        self._held = True

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._serving

    async def drain(self) -> None:
        """Wait until all is handed over."""
        self._hurry = True
        await workflow.wait_condition(lambda: not self._state.outbox and self.idle)

    def close(self) -> None:
        """Nothing comes any more."""
        self._over = True

    def _unserved(self) -> list[str]:
        if self._held:
            return []
        return [name for name in dict.fromkeys(m.recipient for m in self._state.outbox) if name not in self._serving]

    def _urgent(self, recipient: str) -> bool:
        waiting = (message for message in self._state.outbox if message.recipient == recipient)
        return self._held or self._hurry or bool(self._state.stop) or not all(item.attended for item in waiting)

    async def _serve(self, recipient: str) -> None:
        if not self._urgent(recipient):
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(lambda: self._urgent(recipient), timeout=GATHER)
        batch = [message for message in self._state.outbox if message.recipient == recipient][:BATCH]
        try:
            await self._hand_over(recipient, batch)
            done = {message.id for message in batch}
            self._state.outbox[:] = [message for message in self._state.outbox if message.id not in done]
        except (ActivityError, ApplicationError) as error:
            workflow.logger.warning("messages of %s for %s wait: %s", self._order.agent, recipient, error)
            await workflow.sleep(_RETRY)
        finally:
            del self._serving[recipient]

    async def _hand_over(self, recipient: str, batch: list[MessageRef]) -> None:
        if recipient == USER:
            await self._facts.delivered(batch)
            for item in (item for item in self._state.open.values() if item.message in batch):
                await self._facts.confirmation(item)
        elif not await self._signal(recipient, batch):
            await self._refuse(batch, f"{recipient} has ended and reads no more messages")

    async def _signal(self, recipient: str, batch: list[MessageRef]) -> bool:
        """Whether there is somebody who has it now."""
        for pause in (*ABSENCE_SECONDS, 0.0):
            if await tell(self._order.fleet, recipient, "deliver", [batch]):
                return True
            if self._state.stop or not pause:
                break
            await workflow.sleep(pause)
        return False

    async def _refuse(self, batch: list[MessageRef], reason: str) -> None:
        for message in batch:
            # First: a tool call that waits for it hears of it by the fact, and says with ``end_wait`` that it has.
            self._state.bounce(_bounced(message, reason))
            # Should the engine have died before the acceptance was on record, it is now.
            await self._facts.message(message.id, MessageState.ACCEPTED)
            await self._facts.record(self._facts.moved(message.id, MessageState.REFUSED, reason))
            self._state.waits.pop(message.id, None)


def _bounced(message: MessageRef, reason: str) -> steps.Bounced:
    reply = message.reply_to is not None
    return steps.Bounced(message_id=message.id, recipient=message.recipient, reason=reason, reply=reply)


async def tell(fleet: str, agent: str, signal: str, arguments: list[object]) -> bool:
    """Signal another agent's workflow; False when there is none. Raises ApplicationError for any other trouble."""
    target = steps.agent_workflow_id(fleet, agent)
    try:
        await workflow.get_external_workflow_handle(target).signal(signal, args=arguments)
    except ApplicationError as error:
        if error.non_retryable is False and "NotFound" not in str(error.type):
            raise
        return False
    return True
