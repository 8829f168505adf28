"""What becomes of a message an agent wants to send: passed on, held for the user, or refused."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.domain import events as ev
    from app.domain.envelope import USER, MessageRef, MessageState
    from app.domain.interrupt import Interrupt, InterruptKind
    from app.workflows import steps
    from app.workflows.confirmations import Confirmations, asks_user
    from app.workflows.facts import Recorder
    from app.workflows.state import AgentState

DELIVER_ONCE = "Deliver once"
ALWAYS = "Always"
REFUSE = "Refuse"


class Post:
    """One agent's outgoing messages."""

    def __init__(
        self,
        order: steps.AgentOrder,
        state: AgentState,
        facts: Recorder,
        confirmations: Confirmations,
        *,
        plan: steps.AgentPlan,
        team: frozenset[str],
    ) -> None:
        self._order = order
        self._state = state
        self._facts = facts
        self._confirmations = confirmations
        self._plan = plan
        self._team = team

    def change(self, order: steps.PlanOrder) -> None:
        """Decide by this plan from now on. It has the channels the user opened, as far as they still hold."""
        self._plan, self._team = order.plan, order.team
        self._state.channels.clear()

    def pass_on(self, order: steps.SendOrder) -> steps.ActionOutcome | None:
        """Accept a message that may go straight to its recipient; None for one that ``send`` has to decide on.

        It waits for nothing: whoever calls has its acceptance put on record, the pump hands it over.
        """
        message = order.message
        if order.obstacle or self._judge(order) != "direct":
            return None
        self._state.outbox.append(message)
        self._state.decided(message.reply_to)
        if message.recipient == USER and message.kind == "confirm":
            self._confirmations.ask_user(message)
        self._note_wait(message)
        outcome = steps.ActionOutcome(ok=True, text=f"Accepted as {message.id}.")
        return self._state.remember(order.action_id, outcome)

    async def send(self, order: steps.SendOrder) -> steps.ActionOutcome:
        """Hold or refuse a message that cannot go straight to its recipient; what the agent is told."""
        return self._state.remember(order.action_id, await self._hold_or_refuse(order))

    def _judge(self, order: steps.SendOrder) -> str:
        return self._state.judge(order.message, self._plan, self._team, received=order.received)

    async def _hold_or_refuse(self, order: steps.SendOrder) -> steps.ActionOutcome:
        verdict = self._judge(order)
        if verdict == "ask" and not order.obstacle:
            self._note_wait(order.message)
            return await self._hold(order.message)
        reason = verdict
        if verdict == "deny":
            allowed = ", ".join((*self._plan.recipients, *self._state.channels, USER))
            reason = f"you may not write to {order.message.recipient}; you may write to: {allowed}"
        elif verdict in ("direct", "ask"):
            reason = order.obstacle
        await self._facts.message(order.message.id, MessageState.REFUSED, reason)
        return steps.ActionOutcome(ok=False, text=f"Refused: {reason.removesuffix('.')}.")

    def _note_wait(self, message: MessageRef) -> None:
        if message.awaits is not None:
            self._state.waits[message.id] = message

    async def _hold(self, message: MessageRef) -> steps.ActionOutcome:
        await self._facts.message(message.id, MessageState.HELD, "waits for the user's approval")
        interrupt = Interrupt(
            id=f"i-{message.id.removeprefix('m-')}",
            agent=self._order.agent,
            kind=InterruptKind.APPROVAL,
            title=f"{self._order.agent} wants to write to {message.recipient}",
            body=f"The two have no direct communication in agents.yaml. Subject: {message.subject or '(none)'}",
            options=(DELIVER_ONCE, ALWAYS, REFUSE),
            default=DELIVER_ONCE,
            blocking=False,
            message_id=message.id,
            raised_at=workflow.now(),
            group=f"message {self._order.agent} {message.recipient}",
            approve=DELIVER_ONCE,
        )
        self._state.open[interrupt.id] = steps.InterruptRef(
            id=interrupt.id, kind=interrupt.kind, title=interrupt.title, blocking=False, message=message
        )
        raised = f"{interrupt.id}/raised"
        await self._facts.record(self._facts.fact(ev.InterruptRaised, fact_id=raised, interrupt=interrupt))
        text = f"Held as {message.id}: the user is asked whether {message.recipient} may get it. You need not wait."
        return steps.ActionOutcome(ok=True, text=text)

    async def decide_held(self, message: MessageRef, order: steps.AnswerOrder) -> None:
        """Deliver or refuse a message that was held, as the user answered."""
        whom = "the user" if order.by == USER else order.by
        if order.option not in (DELIVER_ONCE, ALWAYS) or order.action != "resume":
            await self._facts.record(self._facts.moved(message.id, MessageState.REFUSED, f"refused by {whom}"))
            self._state.answers.append(order.body)
            self._state.waits.pop(message.id, None)
            return
        await self._release(message, f"approved by {whom}")
        if order.option == ALWAYS:
            await self._open_channel(message.recipient, whom)

    async def _release(self, message: MessageRef, reason: str) -> None:
        await self._facts.record(self._facts.moved(message.id, MessageState.ACCEPTED, reason))
        self._state.outbox.append(message)

    async def _open_channel(self, recipient: str, whom: str) -> None:
        if recipient in self._state.channels:
            return
        self._state.channels.append(recipient)
        await self._facts.record(self._facts.fact(ev.ChannelOpened, recipient=recipient))
        await self._facts.local(steps.OPEN_CHANNEL, steps.ChannelOrder(order=self._order, recipient=recipient))
        for item in list(self._state.open.values()):
            if item.message is not None and item.message.recipient == recipient:
                self._state.settle(item.id)
                await self._facts.record(self._facts.withdrawn(item.id))
                await self._release(item.message, f"approved by {whom}, always")

    async def withdraw_open(self, reason: str) -> None:
        """The agent has ended: nobody uses these answers any more. What is still held is refused, and said so."""
        for item in list(self._state.open.values()):
            await self._withdraw(item, MessageState.EXPIRED if asks_user(item) else MessageState.REFUSED, reason)

    async def expire_open(self, message_ids: list[str], reason: str) -> None:
        """Take back what waits for the user's decision, among these messages."""
        for item in list(self._state.open.values()):
            if item.message is not None and item.message.id in message_ids:
                await self._withdraw(item, MessageState.EXPIRED, reason)

    async def _withdraw(self, item: steps.InterruptRef, state: MessageState, reason: str) -> None:
        self._state.settle(item.id)
        await self._facts.record(self._facts.withdrawn(item.id))
        if item.message is not None:
            self._state.waits.pop(item.message.id, None)
            await self._facts.record(self._facts.moved(item.message.id, state, reason))
