"""An agent that waits in the middle of its turn for what becomes of a message: shown, ended, withdrawn."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain.envelope import USER, MessageRef
    from app.domain.events import AgentStatus
    from app.domain.interrupt import InterruptKind
    from app.workflows import steps
    from app.workflows.facts import Recorder
    from app.workflows.machine import MachineHold, Move
    from app.workflows.pump import tell
    from app.workflows.state import AgentState

SHOWN_AFTER = timedelta(milliseconds=1250)
"""A wait that is over sooner is not put on record: nobody could have seen it."""


class Waits:
    """Keeps the agent's status at ``waiting`` while its turn waits for others, and at ``running`` otherwise.

    On the side: the tool call that waits is answered without waiting for the record of it.
    """

    def __init__(
        self, order: steps.AgentOrder, state: AgentState, hold: MachineHold, move: Move, facts: Recorder
    ) -> None:
        self._order = order
        self._facts = facts
        self._state = state
        self._hold = hold
        self._move = move
        self._over = False

    async def run(self) -> None:
        """Follow ``state.waits`` until ``close``."""
        while True:
            await workflow.wait_condition(lambda: self._over or self._wanted() is not None)
            if self._over:
                return
            wanted = self._wanted()
            at_once = wanted is not None and (wanted[0] is AgentStatus.RUNNING or self._state.asked_for is not None)
            if wanted is not None and (at_once or await self._lasts(wanted)):
                try:
                    await self._move(*wanted)
                except ActivityError:
                    workflow.logger.warning("what %s waits for is not on record", self._order.agent)

    def close(self) -> None:
        """Follow it no longer."""
        self._over = True

    async def end_turn(self) -> None:
        """The turn is over: it waits for nothing any more."""
        self._state.waits.clear()
        await self._withdraw_permissions()
        if self._state.status is AgentStatus.WAITING:
            await self._move(AgentStatus.RUNNING, self._state.doing)

    async def _withdraw_permissions(self) -> None:
        """Nobody waits for these answers any more."""
        for item in [item for item in self._state.open.values() if item.permission]:
            self._state.settle(item.id)
            await self._facts.record(self._facts.withdrawn(item.id))

    async def withdraw(self, reason: str) -> None:
        """The agent has ended: what it waited for and nobody has read expires."""
        waits = list(self._state.waits.values())
        self._state.waits.clear()
        for recipient in dict.fromkeys(message.recipient for message in waits if message.recipient != USER):
            ids = [message.id for message in waits if message.recipient == recipient]
            words = f"its sender has ended: {reason}" if reason else "its sender has ended"
            try:
                await tell(self._order.fleet, recipient, "withdraw", [ids, words])
            except ApplicationError:
                workflow.logger.warning("%s does not hear that %s has ended", recipient, self._order.agent)

    async def _lasts(self, wanted: tuple[AgentStatus, str]) -> bool:
        try:
            await workflow.wait_condition(lambda: self._over or self._wanted() != wanted, timeout=SHOWN_AFTER)
        except TimeoutError:
            return True
        return False

    def _wanted(self) -> tuple[AgentStatus, str] | None:
        """The status that should be shown and is not."""
        state = self._state
        if not self._hold.turning or state.pause or state.status not in (AgentStatus.RUNNING, AgentStatus.WAITING):
            return None
        asked = state.asked_for
        if asked is None and not state.waits:
            return None if state.status is AgentStatus.RUNNING else (AgentStatus.RUNNING, state.doing)
        words = _asked(asked) if asked is not None else awaited(next(iter(state.waits.values())))
        wanted = AgentStatus.WAITING, words
        return None if wanted == (state.status, state.reason) else wanted


def _asked(asked: steps.InterruptRef) -> str:
    """What a program waits for in the middle of its turn, in words."""
    return f"{'approval to' if asked.kind is InterruptKind.APPROVAL else 'an answer to'} {asked.title}"


def awaited(message: MessageRef) -> str:
    """What the sender of a message waits for, in words."""
    what = message.subject or message.id
    if message.awaits == "ack":
        return f"{'you' if message.recipient == USER else message.recipient} to read: {what}"
    whose = "your" if message.recipient == USER else f"{message.recipient}'s"
    return f"{whose} reply to: {what}"
