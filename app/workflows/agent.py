"""One agent's life: a loop of turns, fed by messages and answers, and the decisions about what it may send."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.domain.envelope import USER, MessageRef, MessageState
    from app.domain.events import AgentStatus
    from app.domain.interrupt import Interrupt, InterruptKind
    from app.domain.text import first_line
    from app.workflows import steps
    from app.workflows.facts import Recorder
    from app.workflows.state import MAX_INBOX, AgentStart, AgentState, why

DELIVER_ONCE = "Deliver once"
REFUSE = "Refuse"


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
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, start: AgentStart) -> str:
        """Live until finished, stopped or failed; returns the last state's name."""
        try:
            await self._live()
            status, reason = self._ending()
        except ActivityError as error:
            status, reason = AgentStatus.FAILED, _words(error)
        await self._release(reason)
        await self._withdraw_open()
        await self._move(status, reason)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return status.value

    async def _live(self) -> None:
        if not self._state.prepared:
            await self._prepare()
        while not self._over():
            cause = self._state.next_cause()
            if cause is None:
                await self._rest()
            else:
                await self._take_turn()
            if workflow.info().is_continue_as_new_suggested() and not self._over():
                await self._begin_anew()

    def _over(self) -> bool:
        state = self._state
        return bool(state.stop) or (bool(state.finish) and not state.inbox and state.held is None)

    def _ending(self) -> tuple[AgentStatus, str]:
        if self._state.finish and not self._state.stop:
            return AgentStatus.COMPLETED, first_line(self._state.finish)
        return AgentStatus.STOPPED, self._state.stop

    async def _prepare(self) -> None:
        await self._move(AgentStatus.STARTING, "prepares its virtual machine")
        order = steps.PrepareOrder(order=self._order, fresh=self._state.turn == 0)
        await self._step(steps.PREPARE_AGENT, order, steps.Prepared, steps.PREPARE_TIMEOUT)
        self._state.prepared = True

    async def _rest(self) -> None:
        await self._move(*self._state.waiting_for())
        await workflow.wait_condition(
            lambda: (
                self._over() or self._state.next_cause() is not None or workflow.info().is_continue_as_new_suggested()
            )
        )

    async def _take_turn(self) -> None:
        state = self._state
        cause = state.next_cause() or "messages"
        messages, answers = state.begin_turn(cause)
        turn = steps.TurnOrder(order=self._order, turn=state.turn, cause=cause, messages=messages, answers=answers)
        state.finish = ""
        await self._move(AgentStatus.RUNNING, why(turn, state))
        await self._step(steps.RUN_TURN, turn, steps.TurnResult, steps.TURN_TIMEOUT)
        mirror = steps.MirrorOrder(order=self._order, turn=state.turn)
        await self._step(steps.MIRROR_WORKSPACE, mirror, None, steps.MIRROR_TIMEOUT)

    async def _begin_anew(self) -> None:
        # Handlers first: an update that was accepted and not finished would be lost (FACTS B0.6).
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._start.model_copy(update={"state": self._state}))

    async def _release(self, reason: str) -> None:
        order = steps.ReleaseOrder(order=self._order, reason=reason)
        try:
            await self._step(steps.RELEASE_AGENT, order, None, steps.RELEASE_TIMEOUT, stoppable=False)
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
        self, name: str, order: object, result: type | None, timeout: timedelta, *, stoppable: bool = True
    ) -> None:
        """Run an activity; a stop order cancels it and waits until it is really over."""
        handle: workflow.ActivityHandle[object] = workflow.start_activity(
            name,
            order,
            result_type=result,
            start_to_close_timeout=timeout,
            heartbeat_timeout=steps.HEARTBEAT_TIMEOUT,
            retry_policy=steps.STEP_RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        if stoppable:
            await workflow.wait_condition(lambda: handle.done() or bool(self._state.stop))
            if not handle.done():
                handle.cancel()
        try:
            await handle
        except ActivityError:
            if not self._state.stop:
                raise

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
            await self._decide_held(item.message, order)
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

    # What the agent itself does, by its tools

    @workflow.update
    async def send(self, order: steps.SendOrder) -> steps.ActionOutcome:
        """Send a message; the same ``action_id`` again gets the same answer and sends nothing."""
        async with self._lock:
            known = self._state.outcomes.get(order.action_id)
            if known is None:
                known = self._state.remember(order.action_id, await self._send(order.message))
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

    # The parts of sending

    async def _send(self, message: MessageRef) -> steps.ActionOutcome:
        verdict = self._state.judge(message, self._start.plan, self._start.team)
        if verdict == "direct":
            return await self._pass_on(message)
        if verdict == "ask":
            return await self._hold(message)
        reason = verdict
        if verdict == "deny":
            allowed = ", ".join((*self._start.plan.recipients, USER))
            reason = f"you may not write to {message.recipient}; you may write to: {allowed}"
        await self._facts.message(message.id, MessageState.REFUSED, reason)
        return steps.ActionOutcome(ok=False, text=f"Refused: {reason}.")

    async def _pass_on(self, message: MessageRef) -> steps.ActionOutcome:
        await self._facts.message(message.id, MessageState.ACCEPTED)
        problem = await self._hand_over(message)
        if problem:
            return steps.ActionOutcome(ok=False, text=f"Refused: {problem}.")
        return steps.ActionOutcome(ok=True, text=f"Accepted as {message.id}.")

    async def _hand_over(self, message: MessageRef) -> str:
        """Bring an accepted message to its recipient; the reason in words when there is nobody to take it."""
        if message.recipient == USER:
            await self._facts.record(self._facts.moved(message.id, MessageState.DELIVERED))
            return ""
        target = steps.agent_workflow_id(self._order.fleet, message.recipient)
        try:
            await workflow.get_external_workflow_handle(target).signal("deliver", message)
        except ApplicationError as error:
            if error.non_retryable is False and "NotFound" not in str(error.type):
                raise
            reason = f"{message.recipient} has ended and reads no more messages"
            await self._facts.record(self._facts.moved(message.id, MessageState.REFUSED, reason))
            return reason
        return ""

    async def _hold(self, message: MessageRef) -> steps.ActionOutcome:
        await self._facts.message(message.id, MessageState.HELD, "waits for the user's approval")
        interrupt = Interrupt(
            id=f"i-{message.id.removeprefix('m-')}",
            agent=self._order.agent,
            kind=InterruptKind.APPROVAL,
            title=f"{self._order.agent} wants to write to {message.recipient}",
            body=f"The two have no direct communication in agents.yaml. Subject: {message.subject or '(none)'}",
            options=(DELIVER_ONCE, REFUSE),
            default=DELIVER_ONCE,
            blocking=False,
            message_id=message.id,
            raised_at=workflow.now(),
        )
        self._state.open[interrupt.id] = steps.InterruptRef(
            id=interrupt.id, kind=interrupt.kind, title=interrupt.title, blocking=False, message=message
        )
        raised = f"{interrupt.id}/raised"
        await self._facts.record(self._facts.fact(ev.InterruptRaised, fact_id=raised, interrupt=interrupt))
        text = f"Held as {message.id}: the user is asked whether {message.recipient} may get it. You need not wait."
        return steps.ActionOutcome(ok=True, text=text)

    async def _decide_held(self, message: MessageRef, order: steps.AnswerOrder) -> None:
        whom = "the user" if order.by == USER else order.by
        if order.option == DELIVER_ONCE and order.action == "resume":
            await self._facts.record(self._facts.moved(message.id, MessageState.ACCEPTED, f"approved by {whom}"))
            if not await self._hand_over(message):
                return
        else:
            await self._facts.record(self._facts.moved(message.id, MessageState.REFUSED, f"refused by {whom}"))
        self._state.answers.append(order.body)

    async def _raise(self, item: steps.InterruptRef) -> steps.ActionOutcome:
        self._state.open[item.id] = item
        await self._facts.interrupt(item.id)
        if item.blocking:
            return steps.ActionOutcome(
                ok=True, text=f"Asked as {item.id}. End your turn now; the answer is your next prompt."
            )
        return steps.ActionOutcome(ok=True, text=f"Reported as {item.id}. Go on.")

    def _open_for_orders(self) -> None:
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
        await self._facts.record(self._facts.fact(ev.AgentMoved, state=status, reason=reason, turn=state.turn))


def _words(error: ActivityError) -> str:
    """The innermost cause of a failed step, in its own words."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    words = cause.message if isinstance(cause, ApplicationError) else str(cause)
    return first_line(words, 300) or "a step failed"
