"""What a person orders an agent to do: answers, new instructions, an end of its turn or of its task."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.domain.envelope import MessageRef
    from app.domain.interrupt import InterruptKind
    from app.workflows import steps
    from app.workflows.confirmations import Confirmations, asks_user
    from app.workflows.facts import Recorder
    from app.workflows.limits import Limits
    from app.workflows.machine import MachineHold
    from app.workflows.post import Post
    from app.workflows.state import AgentState

TURN_CANCELLED = "its turn was cancelled by the user; waits for messages"
TASK_CANCELLED = "its task was cancelled by the user; waits for messages"


class Orders:
    """Orders to one agent. Each is taken once: its update has the id of what it brings."""

    def __init__(
        self,
        order: steps.AgentOrder,
        state: AgentState,
        facts: Recorder,
        *,
        hold: MachineHold,
        post: Post,
        confirmations: Confirmations,
        limits: Limits,
    ) -> None:
        self._order = order
        self._state = state
        self._facts = facts
        self._hold = hold
        self._post = post
        self._confirmations = confirmations
        self._limits = limits

    async def ask(self, item: steps.InterruptRef) -> steps.ActionOutcome:
        """The agent asks, or tells, the user; what it is told of that."""
        self._state.open[item.id] = item
        await self._facts.interrupt(item.id)
        if item.blocking:
            return steps.ActionOutcome(
                ok=True, text=f"Asked as {item.id}. End your turn now; the answer is your next prompt."
            )
        return steps.ActionOutcome(ok=True, text=f"Reported as {item.id}. Go on.")

    async def answer(self, order: steps.AnswerOrder) -> MessageRef | None:
        """Take in a person's answer; a message that it makes for the agent itself is returned."""
        state = self._state
        item = state.settle(order.interrupt_id)
        state.deciding = state.deciding or item.of_hold
        await self._facts.answer(order.interrupt_id, order.body)
        message = await self._carry_out(item, order)
        state.deciding = state.deciding and not item.of_hold
        return message

    async def _carry_out(self, item: steps.InterruptRef, order: steps.AnswerOrder) -> MessageRef | None:
        state = self._state
        if item.message is not None and asks_user(item):
            return await self._confirmations.answer(item.message, order)
        if item.message is not None:
            await self._post.decide_held(item.message, order)
        elif order.action == "cancel" and order.scope == "task":
            state.instructions.append(steps.cancelled_body_id(order.interrupt_id))
            await self._drop_task(order.by)
        elif order.action == "cancel":
            state.stop = "cancelled by the user"
        elif item.about and item.kind is not InterruptKind.PROGRESS_REPORT:
            state.resting = "" if order.has_text else state.resting
            await self._limits.answer(item, order)
        elif item.permission:
            return None  # the program hears of it itself, in its turn
        elif item.kind is not InterruptKind.PROGRESS_REPORT or order.action == "modify":
            state.resting = ""
            state.answers.append(order.body)
        return None

    def may_answer(self, order: steps.AnswerOrder) -> None:
        """Raise ApplicationError when nobody waits for it; for validators."""
        if order.interrupt_id in self._state.settled:
            raise ApplicationError(f"{order.interrupt_id} is answered already", type="already_answered")
        if order.interrupt_id not in self._state.open:
            raise ApplicationError(f"{self._order.agent} has no open interrupt {order.interrupt_id}", type="not_found")

    async def instruct(self, order: steps.InstructOrder) -> None:
        """New instructions: the next turn begins with them."""
        await self._facts.local(steps.RECORD_INSTRUCTIONS, order)
        self._state.instructions.append(order.body)
        self._state.resting = ""

    async def cancel(self, order: steps.CancelOrder) -> None:
        """End the turn under way, or with a body the task; returns when the turn has ended."""
        if order.body:
            await self._facts.local(steps.RECORD_INSTRUCTIONS, steps.InstructOrder(body=order.body))
            self._state.instructions.append(order.body)
            await self._drop_task(order.by)
        else:
            self._state.resting = TURN_CANCELLED
            await self._end_turn(order.by)
        await workflow.wait_condition(lambda: not self._state.cancel or bool(self._state.stop) or self._hold.over)

    def may_cancel(self, order: steps.CancelOrder) -> None:
        """Raise ApplicationError when there is nothing to end; for validators."""
        name = self._order.agent
        if self._state.pause:
            raise ApplicationError(f"{name} is paused: resume it first", type="refused")
        if not order.body and (self._state.cancel or not self._hold.turning):
            raise ApplicationError(f"{name} has no turn under way", type="refused")

    def may_reset(self) -> None:
        """Raise ApplicationError while there is no machine to be made clean; for validators."""
        if self._state.pause:
            raise ApplicationError(f"{self._order.agent} is paused: resume it first", type="refused")
        if self._state.reset or not self._state.prepared:
            raise ApplicationError(f"the machine of {self._order.agent} is being made", type="refused")

    async def turn_ended(self, turn: steps.TurnOrder) -> None:
        """A turn that was to be cancelled is over; what it had not yet read comes with the next one."""
        self._state.cancel = False
        if turn.messages:
            self._state.bring_again(await self._facts.still_unread(turn.messages))

    async def _drop_task(self, by: str) -> None:
        self._state.resting = TASK_CANCELLED
        self._state.answers.clear()
        self._state.resuming = None  # a turn that a limit had cut does not go on either
        await self._post.withdraw_open("the task was cancelled")
        if self._hold.turning:
            await self._end_turn(by)

    async def _end_turn(self, by: str) -> None:
        turn = self._state.turn
        name = f"{self._order.run}/{self._order.agent}/t{turn}/cancelled"
        await self._facts.record(self._facts.fact(ev.TurnCancelled, fact_id=name, turn=turn, by=by))
        self._state.cancel = self._hold.turning  # it may have ended while that was put on record
