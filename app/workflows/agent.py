"""One agent's life: a loop of turns, fed by messages and answers, and the decisions about what it may send."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.domain.envelope import MessageRef, MessageState
    from app.domain.events import AgentStatus
    from app.domain.text import first_line
    from app.workflows import steps, visible
    from app.workflows.confirmations import Confirmations
    from app.workflows.deadlines import Deadlines
    from app.workflows.facts import Recorder
    from app.workflows.limits import Limits
    from app.workflows.machine import MachineHold, words
    from app.workflows.orders import Orders
    from app.workflows.post import Post
    from app.workflows.pump import Pump
    from app.workflows.state import MAX_INBOX, AgentEnd, AgentStart, AgentState, why
    from app.workflows.step_turn import Turns
    from app.workflows.waits import Waits
    from app.workflows.work import CancellableWork, started


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
        self._confirmations = Confirmations(self._order, self._state, self._facts)
        self._post = Post(self._order, self._state, self._facts, self._confirmations, plan=start.plan, team=start.team)
        self._pump = Pump(self._order, self._state, self._facts)
        self._hold = MachineHold(self._order, self._state, self._move)
        self._work = CancellableWork(self._state, self._hold)
        self._turns = Turns(self._state, self._work)
        self._waits = Waits(self._order, self._state, self._hold, self._move, self._facts)
        self._limits = Limits(self._order, self._state, self._facts, self._move)
        self._deadlines = Deadlines(self._order, self._state, self._facts)
        self._orders = Orders(
            self._order,
            self._state,
            self._facts,
            hold=self._hold,
            post=self._post,
            confirmations=self._confirmations,
            limits=self._limits,
        )
        self._turn: steps.TurnOrder | None = None
        self._lock = asyncio.Lock()
        self._moving = asyncio.Lock()

    @workflow.run
    async def run(self, start: AgentStart) -> AgentEnd | str:
        """Live until finished, stopped or failed; returns how. (Up to 0.1.0 it was the last state's name.)"""
        visible.introduce(self._order, start.team)
        sideline = asyncio.gather(self._pump.run(), self._waits.run(), self._deadlines.run(), self._hold.run())
        try:
            await self._live()
            status, reason = self._ending()
        except ActivityError as error:
            status, reason = AgentStatus.FAILED, words(error)
        await self._wind_up(reason)
        await sideline
        await self._move(status, reason)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return AgentEnd(status=status, state=self._state)

    async def _wind_up(self, reason: str) -> None:
        """The agent has ended: what was accepted of it goes out, what it still waits for is taken back."""
        self._hold.over = True
        self._waits.close()
        self._deadlines.close()
        await self._pump.drain()
        await self._waits.withdraw(reason)
        if self._turn is not None and self._turn.messages:  # a start brings them again
            self._state.bring_again(await self._facts.still_unread(self._turn.messages))
        await self._release(reason)
        await self._post.withdraw_open(f"{self._order.agent} ended before the user decided")
        # An answer that was just being taken in may have put a message into the outbox.
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._pump.drain()
        self._pump.close()

    async def _live(self) -> None:
        if not self._state.prepared:
            await self._prepare()
        while not self._state.over:
            if self._state.pause:
                await self._hold.stand_still()
            elif self._state.reset:
                await self._make_clean()
            elif self._state.hold is not None:
                await self._limits.stand_by()
            elif not self._state.has_work:
                await self._rest()
            else:
                await self._take_turn()
            if workflow.info().is_continue_as_new_suggested() and not self._state.over:
                await self._begin_anew()

    def _ending(self) -> tuple[AgentStatus, str]:
        if self._state.finish and not self._state.stop:
            return AgentStatus.COMPLETED, first_line(self._state.finish)
        return AgentStatus.STOPPED, self._state.stop

    async def _prepare(self) -> None:
        await self._move(AgentStatus.STARTING, "prepares its virtual machine")
        order = steps.PrepareOrder(order=self._order, fresh=self._state.turn == 0)
        prepared = await self._work.do(steps.PREPARE_AGENT, order, steps.Prepared, steps.PREPARE_TIMEOUT)
        self._state.prepared = True
        # A new machine under an agent that had turns: its conversation went with the old one.
        self._state.anew = isinstance(prepared, steps.Prepared) and prepared.clean and self._state.turn > 0
        if self._state.anew:
            self._state.put_back(self._state.resuming)

    async def _make_clean(self) -> None:
        await self._move(AgentStatus.STARTING, "gets a clean machine, as you asked")
        await self._work.do(steps.RESET_MACHINE, self._order, steps.Prepared, steps.PREPARE_TIMEOUT)
        state = self._state
        state.reset, state.anew, state.finish, state.resting = False, True, "", ""
        state.put_back(state.resuming)

    async def _rest(self) -> None:
        await self._move(*self._state.waiting_for())
        await workflow.wait_condition(
            lambda: (
                self._state.over
                or self._state.has_work
                or self._state.resting not in ("", self._state.reason)
                or bool(self._state.pause or self._state.reset)
                or workflow.info().is_continue_as_new_suggested()
            )
        )

    async def _take_turn(self) -> None:
        state = self._state
        if workflow.patched("limits") and not await self._limits.may_begin():
            return
        self._turn = turn = state.next_turn(self._order)
        state.finish = ""
        state.doing = why(turn, state)
        await self._move(AgentStatus.RUNNING, state.doing)
        self._hold.turning = True
        result = await self._turns.take(turn, self._start.plan)
        self._hold.turning = False
        if state.stop:
            return
        self._turn = None
        await self._waits.end_turn()
        if result is None and state.reset:
            state.put_back(turn)
            return
        if state.cancel:
            await self._orders.turn_ended(turn)
        elif await self._limits.after(turn, result):
            return
        await self._confirmations.decline_overdue()
        if state.pause in ("now", "command"):
            await self._hold.stand_still()
        mirror = steps.MirrorOrder(order=self._order, turn=state.turn)
        summary = f"files of turn {state.turn}"
        await self._work.do(steps.MIRROR_WORKSPACE, mirror, None, steps.MIRROR_TIMEOUT, summary=summary)

    async def _begin_anew(self) -> None:
        # What was accepted and is not done would be lost: handlers (FACTS B0.6), and messages on their way.
        self._pump.hold()
        await workflow.wait_condition(
            lambda: workflow.all_handlers_finished() and self._pump.idle and self._deadlines.idle
        )
        workflow.continue_as_new(self._start.model_copy(update={"state": self._state}))

    async def _release(self, reason: str) -> None:
        order = steps.ReleaseOrder(order=self._order, reason=reason)
        try:
            await started(steps.RELEASE_AGENT, order, None, steps.RELEASE_TIMEOUT)
        except ActivityError:
            workflow.logger.warning("the machine of %s could not be stopped in order", self._order.agent)

    # What others ask of the agent

    @workflow.signal
    async def deliver(self, messages: list[MessageRef]) -> None:
        """Messages for this agent, accepted of their sender; those that are here already are dropped."""
        new = [message for message in messages if self._state.receive(message)]
        if new:
            await self._facts.delivered(new)

    @workflow.signal
    async def withdraw(self, message_ids: list[str], reason: str) -> None:
        """Their sender has ended, and had waited for what becomes of them: unread they are of no use."""
        await self._expire(message_ids, reason)

    @workflow.signal
    async def expire(self, message_ids: list[str]) -> None:
        """Their time is up: those that nobody has read are nobody's business any more, the others stay."""
        await self._expire(message_ids, "was not read in time")

    async def _expire(self, message_ids: list[str], reason: str) -> None:
        unread = self._state.remove_unread(message_ids)
        await self._facts.record(*(self._facts.moved(item, MessageState.EXPIRED, reason) for item in unread))
        await self._post.expire_open(message_ids, reason)

    @workflow.signal
    async def concern(self, item: steps.InterruptRef) -> None:
        """The host has seen something about the agent that the user should know, or decide."""
        if not self._hold.over:
            await self._limits.tell(item)

    @workflow.signal
    def change_plan(self, order: steps.PlanOrder) -> None:
        """agents.yaml was read again: whom the agent may write to, and who is there."""
        self._post.change(order)
        self._limits.look_again()
        self._start = self._start.model_copy(update={"plan": order.plan, "team": order.team})

    @workflow.update
    async def receive(self, message: MessageRef) -> None:
        """A message from the user."""
        await self.deliver([message])

    @receive.validator
    def _may_receive(self, message: MessageRef) -> None:
        self._open_for_orders()
        if len(self._state.inbox) >= MAX_INBOX:
            raise ApplicationError(f"{self._order.agent} has {MAX_INBOX} unread messages", type="refused")

    @workflow.update
    async def answer(self, order: steps.AnswerOrder) -> None:
        """A person's answer, exactly once."""
        message = await self._orders.answer(order)
        if message is not None:
            await self.deliver([message])

    @answer.validator
    def _may_answer(self, order: steps.AnswerOrder) -> None:
        self._orders.may_answer(order)

    @workflow.update
    async def instruct(self, order: steps.InstructOrder) -> None:
        """New instructions, without a question."""
        await self._orders.instruct(order)

    @instruct.validator
    def _may_instruct(self, order: steps.InstructOrder) -> None:
        self._open_for_orders()

    @workflow.update
    async def cancel(self, order: steps.CancelOrder) -> None:
        """End the turn under way, or what the agent is doing; the agent goes on with what comes in later."""
        await self._orders.cancel(order)

    @cancel.validator
    def _may_cancel(self, order: steps.CancelOrder) -> None:
        self._open_for_orders()
        self._orders.may_cancel(order)

    @workflow.signal
    def stop(self, reason: str) -> None:
        """End the agent: a running turn is cancelled, the machine powered off, its disk kept."""
        self._state.stop = self._state.stop or reason or "stopped"

    @workflow.update
    async def pause(self, order: steps.PauseOrder) -> None:
        """Hold the agent: it gets no turn, its machine stands still. Messages go on to be taken in."""
        await self._hold.pause(order)

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
        self._orders.may_reset()

    # What the agent itself does, by its tools

    @workflow.update
    async def send(self, order: steps.SendOrder) -> steps.ActionOutcome:
        """Send a message; the same ``action_id`` again gets the same answer and sends nothing.

        One that may go straight to its recipient waits for nothing here: see ``Pump``.
        """
        known = self._state.outcomes.get(order.action_id) or self._post.pass_on(order)
        if known is None:
            async with self._lock:
                known = self._state.outcomes.get(order.action_id) or await self._post.send(order)
        return self._with_unread(known)

    @workflow.update
    async def raise_interrupt(self, order: steps.RaiseOrder) -> steps.ActionOutcome:
        """Ask for, or tell, the user."""
        async with self._lock:
            known = self._state.outcomes.get(order.action_id)
            if known is None:
                known = self._state.remember(order.action_id, await self._orders.ask(order.interrupt))
        return self._with_unread(known)

    @workflow.update
    async def read_inbox(self) -> steps.Inbox:
        """The messages that are put in front of the agent now; whoever does it records that they are read."""
        return steps.Inbox(message_ids=tuple(self._state.take_inbox()))

    @workflow.update
    async def end_wait(self, end: steps.WaitEnd) -> None:
        """A tool call no longer waits for what becomes of a message; what it gave to the agent is not new any more."""
        self._state.end_wait(end)

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
        self._confirmations.allow(order.action_id, order.message.reply_to)

    @raise_interrupt.validator
    def _may_raise(self, order: steps.RaiseOrder) -> None:
        self._open_for_orders()
        if not order.interrupt.permission:
            self._confirmations.allow(order.action_id)

    @finish.validator
    def _may_finish(self, order: steps.FinishOrder) -> None:
        self._confirmations.allow(order.action_id)

    @workflow.query
    def state(self) -> AgentState:
        """Everything this workflow knows, for a look by hand in Temporal's window."""
        return self._state

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
        visible.show(state)
        pausing = bool(state.pause) and not state.still and status is not AgentStatus.PAUSED
        fact = self._facts.fact(ev.AgentMoved, state=status, reason=reason, turn=state.turn, pausing=pausing)
        async with self._moving:  # two that come at the same time are recorded in their order
            await self._facts.record(fact)
