"""One agent's life: a loop of turns, fed by messages and answers, and the decisions about what it may send."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.domain.envelope import MessageRef, MessageState
    from app.domain.events import AgentStatus
    from app.domain.interrupt import InterruptKind
    from app.domain.text import first_line
    from app.workflows import steps
    from app.workflows.facts import Recorder
    from app.workflows.machine import MachineHold, words
    from app.workflows.post import Post
    from app.workflows.state import MAX_INBOX, AgentEnd, AgentStart, AgentState, why


@workflow.defn(name="Agent")
class AgentWorkflow:
    """Decides what one agent does next. Everything it knows is in ``AgentState``."""

    @workflow.init
    def __init__(self, start: AgentStart) -> None:
        self._start = start
        self._state = start.state.model_copy(deep=True) if start.state else AgentState()
        self._order = steps.AgentOrder(
            fleet=start.fleet,
            run=start.run,
            agent=start.plan.id,
            project_file=start.project_file,
            rehearsal=start.rehearsal,
        )
        self._facts = Recorder(self._order, self._state)
        self._post = Post(self._order, self._state, self._facts, plan=start.plan, team=start.team)
        self._hold = MachineHold(self._order, self._state, self._move)
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, start: AgentStart) -> AgentEnd | str:
        """Live until finished, stopped or failed; returns how. (Up to 0.1.0 it was the last state's name.)"""
        try:
            await self._live()
            status, reason = self._ending()
        except ActivityError as error:
            status, reason = AgentStatus.FAILED, words(error)
        self._hold.over = True
        await self._release(reason)
        await self._withdraw_open()
        await self._move(status, reason)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return AgentEnd(status=status, state=self._state)

    async def _live(self) -> None:
        if not self._state.prepared:
            await self._prepare()
        while not self._over():
            if self._state.pause:
                await self._hold.stand_still()
            elif self._state.reset:
                await self._make_clean()
            elif self._state.next_cause() is None:
                await self._rest()
            else:
                await self._take_turn()
            if workflow.info().is_continue_as_new_suggested() and not self._over():
                await self._begin_anew()

    def _over(self) -> bool:
        state = self._state
        done = bool(state.finish) and not state.inbox and state.held is None
        return bool(state.stop) or (done and not state.pause and not state.reset)

    def _ending(self) -> tuple[AgentStatus, str]:
        if self._state.finish and not self._state.stop:
            return AgentStatus.COMPLETED, first_line(self._state.finish)
        return AgentStatus.STOPPED, self._state.stop

    async def _prepare(self) -> None:
        await self._move(AgentStatus.STARTING, "prepares its virtual machine")
        order = steps.PrepareOrder(order=self._order, fresh=self._state.turn == 0)
        prepared = await self._step(steps.PREPARE_AGENT, order, steps.Prepared, steps.PREPARE_TIMEOUT)
        self._state.prepared = True
        # A new machine under an agent that had turns: its conversation went with the old one.
        self._state.anew = isinstance(prepared, steps.Prepared) and prepared.clean and self._state.turn > 0

    async def _make_clean(self) -> None:
        await self._move(AgentStatus.STARTING, "gets a clean machine, as you asked")
        await self._step(steps.RESET_MACHINE, self._order, steps.Prepared, steps.PREPARE_TIMEOUT)
        state = self._state
        state.reset, state.anew, state.finish = False, True, ""

    async def _rest(self) -> None:
        await self._move(*self._state.waiting_for())
        await workflow.wait_condition(
            lambda: (
                self._over()
                or self._state.next_cause() is not None
                or bool(self._state.pause or self._state.reset)
                or workflow.info().is_continue_as_new_suggested()
            )
        )

    async def _take_turn(self) -> None:
        state = self._state
        cause = state.next_cause() or "messages"
        messages, answers = state.begin_turn(cause)
        turn = steps.TurnOrder(order=self._order, turn=state.turn, cause=cause, messages=messages, answers=answers)
        state.finish = ""
        await self._move(AgentStatus.RUNNING, why(turn, state))
        self._hold.turning = True
        result = await self._step(steps.RUN_TURN, turn, steps.TurnResult, steps.TURN_TIMEOUT, until_reset=True)
        self._hold.turning = False
        if result is None and state.reset:
            state.put_back(messages, answers)
            return
        if state.pause == "now":
            await self._hold.stand_still()
        mirror = steps.MirrorOrder(order=self._order, turn=state.turn)
        await self._step(steps.MIRROR_WORKSPACE, mirror, None, steps.MIRROR_TIMEOUT)

    async def _begin_anew(self) -> None:
        # Handlers first: an update that was accepted and not finished would be lost (FACTS B0.6).
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._start.model_copy(update={"state": self._state}))

    async def _release(self, reason: str) -> None:
        order = steps.ReleaseOrder(order=self._order, reason=reason)
        try:
            await _started(steps.RELEASE_AGENT, order, None, steps.RELEASE_TIMEOUT)
        except ActivityError:
            workflow.logger.warning("the machine of %s could not be stopped in order", self._order.agent)

    async def _withdraw_open(self) -> None:
        """Nobody will use these answers any more; a message still held is refused, and said so."""
        for item in list(self._state.open.values()):
            self._state.settle(item.id)
            await self._facts.record(self._facts.withdrawn(item.id))
            if item.message is not None:
                reason = f"{self._order.agent} ended before the user decided"
                await self._facts.record(self._facts.moved(item.message.id, MessageState.REFUSED, reason))

    async def _step(
        self, name: str, order: object, result: type | None, timeout: timedelta, *, until_reset: bool = False
    ) -> object:
        """Run an activity; a stop order cancels it (a reset those that say so) and waits until it is really over.

        None when it was cancelled. One that failed because its machine stood still is run again.
        """
        state = self._state
        while True:
            handle = _started(name, order, result, timeout)
            await workflow.wait_condition(partial(self._settled, handle, until_reset))
            if not handle.done():
                await self._hold.let_die()
                handle.cancel()
            try:
                return await handle
            except ActivityError:
                if state.stop or (until_reset and state.reset):
                    return None
                if state.pause != "now":
                    raise
            await workflow.wait_condition(lambda: state.pause != "now" or bool(state.stop))

    def _settled(self, handle: workflow.ActivityHandle[object], until_reset: bool) -> bool:
        return handle.done() or bool(self._state.stop) or (until_reset and self._state.reset)

    # What others ask of the agent

    @workflow.signal
    async def deliver(self, message: MessageRef) -> None:
        """A message for this agent, accepted by the sender's workflow or by ``receive``."""
        if self._state.receive(message):
            await self._facts.record(self._facts.moved(message.id, MessageState.DELIVERED))

    @workflow.update
    async def receive(self, message: MessageRef) -> None:
        """A message from the user."""
        await self._facts.message(message.id, MessageState.ACCEPTED)
        await self.deliver(message)

    @receive.validator
    def _may_receive(self, message: MessageRef) -> None:
        self._open_for_orders()
        if len(self._state.inbox) >= MAX_INBOX:
            raise ApplicationError(f"{self._order.agent} has {MAX_INBOX} unread messages", type="refused")

    @workflow.update
    async def answer(self, order: steps.AnswerOrder) -> None:
        """A person's answer, exactly once."""
        item = self._state.settle(order.interrupt_id)
        await self._facts.answer(order.interrupt_id, order.body)
        if item.message is not None:
            await self._post.decide_held(item.message, order)
        elif order.action == "cancel":
            self._state.stop = "cancelled by the user"
        elif item.kind is not InterruptKind.PROGRESS_REPORT:
            self._state.answers.append(order.body)

    @answer.validator
    def _may_answer(self, order: steps.AnswerOrder) -> None:
        if order.interrupt_id in self._state.settled:
            raise ApplicationError(f"{order.interrupt_id} is answered already", type="already_answered")
        if order.interrupt_id not in self._state.open:
            raise ApplicationError(f"{self._order.agent} has no open interrupt {order.interrupt_id}", type="not_found")

    @workflow.signal
    def stop(self, reason: str) -> None:
        """End the agent: a running turn is cancelled, the machine powered off, its disk kept."""
        self._state.stop = self._state.stop or reason or "stopped"

    @workflow.update
    async def pause(self, order: steps.PauseOrder) -> None:
        """Hold the agent: it gets no turn, its machine stands still. Messages go on to be taken in."""
        await self._hold.pause(order.to_disk)

    @pause.validator
    def _may_pause(self, order: steps.PauseOrder) -> None:
        self._open_for_orders()
        if self._state.pause:
            raise ApplicationError(f"{self._order.agent} is paused already", type="refused")

    @workflow.update
    async def resume(self) -> None:
        """Let a paused agent go on where it stood."""
        await self._hold.resume()

    @resume.validator
    def _may_resume(self) -> None:
        self._open_for_orders()
        if not self._state.pause:
            raise ApplicationError(f"{self._order.agent} is not paused", type="refused")

    @workflow.update
    async def reset(self) -> None:
        """Give the agent a clean machine and let it begin again; memory and inbox stay, a running turn is cancelled."""
        self._state.reset = True

    @reset.validator
    def _may_reset(self) -> None:
        self._open_for_orders()
        if self._state.pause:
            raise ApplicationError(f"{self._order.agent} is paused: resume it first", type="refused")
        if self._state.reset or not self._state.prepared:
            raise ApplicationError(f"the machine of {self._order.agent} is being made", type="refused")

    # What the agent itself does, by its tools

    @workflow.update
    async def send(self, order: steps.SendOrder) -> steps.ActionOutcome:
        """Send a message; the same ``action_id`` again gets the same answer and sends nothing."""
        async with self._lock:
            known = self._state.outcomes.get(order.action_id)
            if known is None:
                known = self._state.remember(order.action_id, await self._post.send(order.message))
        return self._with_unread(known)

    @workflow.update
    async def raise_interrupt(self, order: steps.RaiseOrder) -> steps.ActionOutcome:
        """Ask for, or tell, the user."""
        async with self._lock:
            known = self._state.outcomes.get(order.action_id)
            if known is None:
                known = self._state.remember(order.action_id, await self._raise(order.interrupt))
        return self._with_unread(known)

    @workflow.update
    async def read_inbox(self) -> steps.Inbox:
        """The messages now put in front of the agent."""
        ids = self._state.take_inbox()
        await self._facts.record(*(self._facts.moved(item, MessageState.READ) for item in ids))
        return steps.Inbox(message_ids=tuple(ids))

    @workflow.update
    async def finish(self, order: steps.FinishOrder) -> steps.ActionOutcome:
        """The agent's task is complete; it ends with this turn unless a message came in."""
        if order.action_id not in self._state.outcomes:
            self._state.remember(order.action_id, steps.ActionOutcome(ok=True, text="finished"))
            await self._facts.record(self._facts.fact(ev.AgentFinished, summary=order.summary))
        self._state.finish = order.summary
        if self._state.inbox:
            return self._with_unread(steps.ActionOutcome(ok=True, text="Noted; but read your new messages first."))
        return steps.ActionOutcome(ok=True, text="Well done. End your turn now.")

    @send.validator
    def _may_send(self, order: steps.SendOrder) -> None:
        self._open_for_orders()

    @raise_interrupt.validator
    def _may_raise(self, order: steps.RaiseOrder) -> None:
        self._open_for_orders()

    @workflow.query
    def state(self) -> AgentState:
        """Everything this workflow knows, for a look by hand in Temporal's window."""
        return self._state

    async def _raise(self, item: steps.InterruptRef) -> steps.ActionOutcome:
        self._state.open[item.id] = item
        await self._facts.interrupt(item.id)
        if item.blocking:
            return steps.ActionOutcome(
                ok=True, text=f"Asked as {item.id}. End your turn now; the answer is your next prompt."
            )
        return steps.ActionOutcome(ok=True, text=f"Reported as {item.id}. Go on.")

    def _open_for_orders(self) -> None:
        if self._hold.over and not self._state.stop:
            raise ApplicationError(f"{self._order.agent} has ended", type="refused")
        if self._state.stop:
            raise ApplicationError(f"{self._order.agent} is stopped: {self._state.stop}", type="refused")

    def _with_unread(self, outcome: steps.ActionOutcome) -> steps.ActionOutcome:
        return outcome.model_copy(update={"unread": len(self._state.inbox)})

    async def _move(self, status: AgentStatus, reason: str) -> None:
        state = self._state
        if (status, reason) == (state.status, state.reason):
            return
        state.status, state.reason = status, reason
        workflow.set_current_details(f"**{status.value}**: {reason}")
        pausing = bool(state.pause) and not state.still and status is not AgentStatus.PAUSED
        fact = self._facts.fact(ev.AgentMoved, state=status, reason=reason, turn=state.turn, pausing=pausing)
        await self._facts.record(fact)


def _started(name: str, order: object, result: type | None, timeout: timedelta) -> workflow.ActivityHandle[object]:
    handle: workflow.ActivityHandle[object] = workflow.start_activity(
        name,
        order,
        result_type=result,
        start_to_close_timeout=timeout,
        heartbeat_timeout=steps.HEARTBEAT_TIMEOUT,
        retry_policy=steps.STEP_RETRY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
    return handle
