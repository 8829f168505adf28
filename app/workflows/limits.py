"""An agent that may not go on: out of budget, or without its model provider or machine; and what the user is asked."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from app.domain.events import AgentStatus
    from app.domain.interrupt import InterruptKind
    from app.domain.limits import CANCEL_TURN, RESTART_CLEAN, STOP_AGENT
    from app.workflows import holds, steps
    from app.workflows.facts import Recorder
    from app.workflows.machine import Move
    from app.workflows.state import AgentState

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
"""Between two looks for a provider that is down; each is twice as long as the one before."""
SILENT = "has made no progress; you are asked about it"
_OF_PROVIDER = ("usage_limit", "provider_down")


class Limits:
    """Holds one agent back between its turns, and lets it go on."""

    def __init__(self, order: steps.AgentOrder, state: AgentState, facts: Recorder, move: Move) -> None:
        self._order = order
        self._state = state
        self._facts = facts
        self._move = move

    async def may_begin(self) -> bool:
        """Whether the next turn may begin; when not, the agent is held."""
        state, resuming = self._state, self._state.resuming
        state.cut = ""  # whoever wanted that meant the turn before
        turn = state.turn + 1 if resuming is None else resuming.turn
        order = holds.BeginOrder(order=self._order, turn=turn, again=resuming is not None)
        permit: holds.Permit = await workflow.execute_local_activity(
            holds.MAY_BEGIN,
            order,
            result_type=holds.Permit,
            start_to_close_timeout=steps.RECORD_TIMEOUT,
            schedule_to_close_timeout=timedelta(hours=1),
        )
        self._begin(permit.hold)
        if permit.hold is None:
            await self._withdraw("budget")
        return permit.hold is None

    async def after(self, turn: steps.TurnOrder, result: object) -> bool:
        """Whether a turn was cut by a limit: then the agent is held, and that turn goes on afterwards."""
        state, state.cut = self._state, ""
        hold = result.hold if isinstance(result, steps.TurnResult) else None
        if hold is None:
            await self._went_well()
            return False
        state.resuming = turn.model_copy(update={"again": turn.again + 1})
        self._begin(hold)
        return True

    def _begin(self, hold: holds.Hold | None) -> None:
        state = self._state
        state.hold = hold
        if hold is None:
            return
        if hold.cause != state.trouble or state.held_since is None:
            state.trouble, state.held_since, state.tries = hold.cause, workflow.now(), 0

    async def _went_well(self) -> None:
        """A turn came to its end: what was wrong before is over, and nobody needs an answer about it."""
        state = self._state
        state.held_since, state.tries = None, 0
        await self._withdraw(*_OF_PROVIDER, "sandbox_lost")

    async def stand_by(self) -> None:
        """Wait until the hold is over, or something else is to be done first."""
        hold = self._state.hold
        if hold is None:
            return
        if self._state.look_again:
            self._state.look_again = False
            if await self.may_begin():
                return
        hold = self._state.hold or hold
        await self._move(AgentStatus.WAITING, hold.words)
        if hold.cause == "provider_down":
            await self._probe(hold)
        elif hold.cause == "usage_limit" and hold.until is not None and self._state.tries < hold.max_resumes:
            await self._changed(hold.until - workflow.now())
            if self._state.hold is hold and workflow.now() >= hold.until:
                self._state.tries += 1
                self._state.hold = None
        else:
            await self._ask(hold)
            await self._changed()

    async def _probe(self, hold: holds.Hold) -> None:
        state = self._state
        pause = min(FIRST_PAUSE * 2 ** min(state.tries, 10), LONGEST_PAUSE)
        down_since = state.held_since or workflow.now()
        ask_at = down_since + timedelta(seconds=hold.ask_seconds)
        if workflow.now() >= ask_at:
            await self._ask(hold)
        elif workflow.now() + pause > ask_at:
            pause = ask_at - workflow.now()
        await self._changed(pause)
        if state.hold is not hold or self._interrupted():
            return
        state.tries += 1
        if await self._answers():
            await self._withdraw("provider_down")
            state.hold = None

    async def _answers(self) -> bool:
        try:
            found: bool = await workflow.execute_activity(
                holds.PROBE_MODEL,
                self._order,
                result_type=bool,
                start_to_close_timeout=holds.PROBE_TIMEOUT,
                schedule_to_close_timeout=timedelta(hours=1),
                retry_policy=steps.STEP_RETRY,
            )
        except ActivityError:
            return False
        return found

    async def _changed(self, longest: timedelta | None = None) -> None:
        hold = self._state.hold
        if longest is not None and longest <= timedelta(0):
            return
        try:
            await workflow.wait_condition(lambda: self._state.hold is not hold or self._interrupted(), timeout=longest)
        except TimeoutError:
            return

    def _interrupted(self) -> bool:
        """Whether somebody wants something of the agent that comes first."""
        state = self._state
        wanted = state.stop or state.pause or state.reset or state.look_again
        return bool(wanted) or workflow.info().is_continue_as_new_suggested()

    async def _ask(self, hold: holds.Hold) -> None:
        """Ask the user, once: not when the same is open, whatever it was about in particular."""
        if not any(item.about.partition(":")[0] == hold.cause for item in self._state.open.values()):
            await self.tell(hold.interrupt)

    async def tell(self, item: steps.InterruptRef) -> None:
        """Raise what the host asks or reports; the same again is dropped."""
        state = self._state
        if item.id in state.open or item.id in state.settled or state.stop:
            return
        state.open[item.id] = item
        await self._facts.interrupt(item.id)
        if item.about == "stall" and state.status is AgentStatus.RUNNING:
            await self._move(AgentStatus.RUNNING, SILENT)
        elif item.blocking:
            await self._show()

    async def answer(self, item: steps.InterruptRef, order: steps.AnswerOrder) -> None:
        """Do what the user decided about an agent; words that come with it are for the agent."""
        state = self._state
        if item.kind is InterruptKind.PROGRESS_REPORT:
            return
        if order.has_text and (order.action == "modify" or not item.about.startswith("budget")):
            state.answers.append(order.body)
            self._cut(item)
        if order.option == STOP_AGENT:
            state.stop = "stopped by the user"
        elif order.option == RESTART_CLEAN:
            state.reset = True
        elif order.option == CANCEL_TURN:
            state.cut = "cancelled by the user"
        turn = state.turn if state.resuming is not None else state.turn + 1
        await self._facts.local(
            holds.TAKE_DECISION,
            holds.DecisionOrder(order=self._order, at=workflow.now(), body=order.body, turn=turn),
        )
        self._let_go(item)
        await self._show()

    async def _show(self) -> None:
        """What an agent at rest waits for may be something else now, and one that was silent has its answer."""
        state = self._state
        if (state.status, state.reason) == (AgentStatus.RUNNING, SILENT):
            await self._move(AgentStatus.RUNNING, state.doing)
        resting = state.status in (AgentStatus.IDLE, AgentStatus.WAITING) and not state.waits
        if resting and state.hold is None and state.resuming is None and not state.stop:
            await self._move(*state.waiting_for())

    def _cut(self, item: steps.InterruptRef) -> None:
        """Instructions for an agent that is stuck in the middle of a turn would reach it too late."""
        if item.about == "stall" and self._state.hold is None:
            self._state.cut = "new instructions"

    def _let_go(self, item: steps.InterruptRef) -> None:
        """Try again; what is still in the way is found before the turn begins, or in it."""
        state = self._state
        if state.hold is not None and item.about.partition(":")[0] == state.hold.cause:
            state.hold, state.tries = None, 0
            state.held_since = workflow.now()

    def look_again(self) -> None:
        """The limits may be others now."""
        self._state.look_again = self._state.hold is not None

    async def _withdraw(self, *causes: str) -> None:
        state = self._state
        for item in [item for item in state.open.values() if item.about.partition(":")[0] in causes]:
            state.settle(item.id)
            await self._facts.record(self._facts.withdrawn(item.id))
