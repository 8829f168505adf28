"""The steps of a turn that we take ourselves: ask the model, carry out a call, sum the conversation up, end it.

The transcript says how far a turn has come, not the workflow: a step that is tried again after a crash, or a turn that
is taken up again, finds there what is done. A reply that is kept is paid; a call that has begun is not begun again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from temporalio import activity

from app.activities.arrivals import turn_topic
from app.activities.condensing import condensed
from app.activities.crew import Crew
from app.activities.failures import MAX_TRIES, told_to_temporal
from app.activities.heartbeat import beating
from app.activities.loop_hands import LoopHands
from app.activities.mail_room import MailRoom
from app.activities.member import Member
from app.activities.observer import TurnRecorder
from app.activities.recording import recorder_of
from app.activities.turn_log import TurnLog, named
from app.activities.warden import Warden
from app.domain import events as ev
from app.domain import loops
from app.domain.errors import RuntimeFailure, SandboxError
from app.domain.loop_actions import loop_tools
from app.domain.ports import LoopRuntime, TurnOutcome
from app.store.transcripts import Thread, call_ids, conversation
from app.workflows import step_orders as so
from app.workflows import steps
from app.workflows.holds import Hold

TRIES_OF_A_STEP = 100
"""More than a step is ever tried: facts of the tries of different steps get names of their own."""
TRIES_OF_A_TURN = 100_000
MAX_CONDENSED = 3
"""How often in a row a conversation is summed up without a reply between; then the agent fails."""


class StepTurns:
    """What ``workflows.step_orders`` names, done."""

    def __init__(self, crew: Crew, mail: MailRoom, warden: Warden) -> None:
        self._crew = crew
        self._mail = mail
        self._warden = warden
        self._journal = mail.journal
        self._transcripts = crew.transcripts
        self._log = TurnLog(mail, crew.brief)

    def all(self) -> Sequence[Callable[..., Any]]:
        """The activities, for a worker."""
        return self.model_step, self.action_step, self.condense_step, self.end_steps

    @activity.defn(name=so.MODEL_STEP)
    async def model_step(self, order: so.StepOrder) -> so.ModelStep:
        """The model's next reply: the one that is kept and not dealt with yet, else a new one."""
        name = f"t{order.turn.turn}/model/{order.step}"
        return await self._held_back(order, name, partial(self._model, order=order))

    @activity.defn(name=so.CONDENSE_STEP)
    async def condense_step(self, order: so.StepOrder) -> so.ModelStep:
        """Have the model sum its conversation up; from then on it goes on from that."""
        name = f"t{order.turn.turn}/condense/{order.step}"
        return await self._held_back(order, name, partial(self._condense, order=order))

    @activity.defn(name=so.ACTION_STEP)
    async def action_step(self, order: so.ActionOrder) -> so.ActionDone:
        """Carry out one call, when the rules let it be."""
        turn = order.turn
        async with told_to_temporal(), beating():
            member = None
            try:
                member = await self._crew.member(turn.order, within_turn=True)
                if member.turn != turn.turn:
                    self._begin_here(member, turn)
                if activity.info().attempt > 1:
                    self._log.resumed(turn, _attempt(turn, order.step))
                name = f"t{turn.turn}/action/{order.step}/{order.call.id}"
                return await member.underway.join(name, partial(self._act, member, order, name))
            except SandboxError as error:
                return so.ActionDone(ok=False, hold=await self._machine_lost(member, turn, error))

    @activity.defn(name=so.END_STEPS)
    async def end_steps(self, order: so.EndOrder) -> None:
        """Put the end of a turn on record that was cut."""
        async with told_to_temporal():
            self._end(order.turn, order.stop_reason)

    async def _held_back(self, order: so.StepOrder, name: str, do: Callable[[Member], Any]) -> so.ModelStep:
        """What ``do`` comes to, or what keeps the agent from it."""
        turn = order.turn
        async with told_to_temporal(), beating():
            member = None
            try:
                member = await self._crew.member(turn.order, within_turn=order.step > 0)
                found: so.ModelStep = await member.underway.join(name, partial(do, member))
                return found
            except SandboxError as error:
                hold = await self._machine_lost(member, turn, error)
            except RuntimeFailure:
                held = None if member is None else self._warden.held(member, turn)
                if held is None:
                    raise
                if self._log.has_finished(turn):  # it wanted to say goodbye: nobody is asked whether it may
                    self._end(turn, "end_turn")
                    return so.ModelStep(step=0, state="over", stop_reason="end_turn")
                hold = held
        return so.ModelStep(step=0, state="held", hold=hold)

    async def _machine_lost(self, member: Member | None, turn: steps.TurnOrder, error: SandboxError) -> Hold:
        if member is not None:
            await self._crew.lost(member, error)
        if activity.info().attempt < MAX_TRIES:
            raise error
        return self._warden.machine_lost(turn, error.message)

    # -- a model call --------------------------------------------------------------------------------------------
    async def _model(self, member: Member, order: so.StepOrder) -> so.ModelStep:
        turn, runtime = order.turn, _runtime(member)
        thread = await self._begin(member, order)
        stands = self._transcripts.standing(thread, turn.turn)
        if stands.bad >= loops.MAX_BAD:
            words = f"its model made {stands.bad} replies in a row whose calls were all wrong"
            raise loops.ModelRefused(words, operation="take a turn", hint="look at its console; try another model")
        if not stands.open and not stands.over:
            recorder = self._recorder(member, turn, stands.step)
            ask = self._ask(thread, turn, stands.step + 1)
            try:
                reply = await runtime.ask(ask, recorder.said)
            except loops.ContextOverflow:
                recorder.flush()
                self._check_overflows(thread, turn)
                return so.ModelStep(step=stands.step, session=thread.session, state="too_long")
            recorder.mark_read()
            recorder.flush()
            self._transcripts.reply(thread, turn.turn, stands.step + 1, reply)
            stands = self._transcripts.standing(thread, turn.turn)
        return await self._told(member, turn, thread, stands)

    async def _told(
        self, member: Member, turn: steps.TurnOrder, thread: Thread, stands: loops.Standing
    ) -> so.ModelStep:
        """The workflow's next move, out of where the turn stands."""
        if not stands.over:
            calls = tuple(so.CallRef(id=call.id, name=call.name[:64]) for call in stands.open)
            state = "calls" if calls else "go_on"
            return so.ModelStep.model_validate(
                {"step": stands.step, "session": thread.session, "calls": calls, "state": state}
            )
        await member.told()  # what it has read, before its next turn is made of what it has not
        reason = _REASONS.get(stands.reply.stop if stands.reply is not None else "end", "end_turn")
        self._end(turn, reason)
        return so.ModelStep(step=stands.step, session=thread.session, state="over", stop_reason=reason)

    async def _begin(self, member: Member, order: so.StepOrder) -> Thread:
        """The conversation, with the prompt of this turn in it."""
        turn = order.turn
        self._begin_here(member, turn)
        session = self._log.session(turn.order) or ""
        if not session.startswith(loops.SESSION_PREFIX):
            session = f"{loops.SESSION_PREFIX}{turn.order.run}-{turn.order.agent}-{turn.turn}"
            named_so = named(turn.order, f"t{turn.turn}/session/{session}")
            self._journal.append(ev.SessionOpened(**named_so, session=session))
        thread = _thread(turn, session)
        tried = activity.info().attempt
        if order.step == 0 or tried > 1:
            request = await self._log.begin(member, turn, _attempt(turn, order.step))
            self._transcripts.tell(thread, turn.turn, request.prompt)
        return thread

    def _begin_here(self, member: Member, turn: steps.TurnOrder) -> None:
        member.begin_turn(turn.turn)
        member.ending = False

    def _ask(self, thread: Thread, turn: steps.TurnOrder, number: int) -> loops.ModelAsk:
        entries = self._transcripts.entries(thread)
        return loops.ModelAsk(
            thread=thread.session,
            items=conversation(entries),
            tools=loop_tools(),
            taken=call_ids(entries),
            mark=f"t{turn.turn}s{number}",
        )

    def _recorder(self, member: Member, turn: steps.TurnOrder, step: int) -> TurnRecorder:
        """Facts of one try of a step; the messages of the prompt are read when the first reply begins."""
        heard = turn if step == 0 else turn.model_copy(update={"messages": ()})
        return recorder_of(self._mail, member, heard, _attempt(turn, step))

    # -- a conversation that is too long -----------------------------------------------------------------------------
    async def _condense(self, member: Member, order: so.StepOrder) -> so.ModelStep:
        turn = order.turn
        thread = _thread(turn, self._log.session(turn.order) or "")
        self._begin_here(member, turn)
        recorder = self._recorder(member, turn, order.step)
        ask = self._ask(thread, turn, order.step + 1)
        count = sum(row.kind == "summary" for row in self._transcripts.of_turn(thread, turn.turn))
        text = await condensed(_runtime(member), ask, recorder.said)
        recorder.flush()
        prompt = next((row for row in self._transcripts.of_turn(thread, turn.turn) if row.kind == "prompt"), None)
        told = loops.Told.model_validate_json(prompt.json).text if prompt is not None else ""
        whole = f"{loops.SUMMARISED}\n\n{text}\n\nYour present turn began with:\n\n{told}\n\nGo on from there."
        self._transcripts.summarise(thread, turn.turn, order.step * TRIES_OF_A_STEP + count, whole)
        fact = ev.ConversationCondensed(
            **named(turn.order, f"t{turn.turn}/condensed/{order.step}/{count}"),
            turn=turn.turn,
            items=len(ask.items),
            summary=text,
        )
        self._journal.append(fact)
        note = {"heading": "Summary of the conversation", "text": text, "why": "the conversation had become too long"}
        await self._crew.use_tool(member, "memory_replace", note, f"condense-{turn.turn}-{order.step}-{count}")
        return so.ModelStep(step=order.step, session=thread.session, state="go_on")

    def _check_overflows(self, thread: Thread, turn: steps.TurnOrder) -> None:
        """Give up on a conversation that is too long however often it is summed up."""
        rows = self._transcripts.of_turn(thread, turn.turn)
        last = max((place for place, row in enumerate(rows) if row.kind == "reply"), default=-1)
        if sum(row.kind == "summary" for row in rows[last + 1 :]) >= MAX_CONDENSED:
            raise loops.ModelRefused(
                f"its conversation stays too long for the model, summed up {MAX_CONDENSED} times",
                operation="take a turn",
                hint="choose a model with a longer context, or shorten rules and instructions",
            )

    # -- a call --------------------------------------------------------------------------------------------------
    async def _act(self, member: Member, order: so.ActionOrder, name: str) -> so.ActionDone:
        thread = _thread(order.turn, order.session)
        recorder = self._recorder(member, order.turn.model_copy(update={"messages": ()}), order.step)
        place, is_cut = (order.turn.turn, order.step), partial(member.underway.is_cut, name)
        hands = LoopHands(self._crew, member, recorder, self._transcripts, thread, place, is_cut)
        reply = self._transcripts.find_reply(thread, order.turn.turn, order.step)
        found = [] if reply is None else [(n, call) for n, call in enumerate(reply.calls) if call.id == order.call.id]
        if not found:
            raise RuntimeFailure("the call is not in the transcript", operation="carry out a call")
        number, call = found[0]
        outcome = await hands.carry_out(call, too_many=number >= loops.MAX_CALLS)
        return so.ActionDone(ok=outcome.ok)

    def _end(self, turn: steps.TurnOrder, reason: str) -> None:
        order = turn.order
        self._mail.arrivals.rouse(turn_topic(order.fleet, order.agent))
        self._mail.postbox.end_waits(order.fleet, order.run, order.agent)
        session = self._log.session(order) or ""
        stands = self._transcripts.standing(_thread(turn, session), turn.turn)
        begun = self._journal.last("turn_started", fleet=order.fleet, run=order.run, agent=order.agent)
        seconds = max(0.0, time.time() - begun.at.timestamp()) if begun is not None else 0.0
        outcome = TurnOutcome(session, reason, stands.input_tokens, stands.output_tokens)
        self._log.end(turn, outcome, seconds)


_REASONS = {"length": "max_tokens", "refusal": "refusal"}


def _runtime(member: Member) -> LoopRuntime:
    if not isinstance(member.runtime, LoopRuntime):
        raise RuntimeFailure(f"agents of type {member.spec.type} are not driven step by step", operation="take a turn")
    return member.runtime


def _attempt(turn: steps.TurnOrder, step: int) -> int:
    """A number of this try that no other of the turn's has."""
    return activity.info().attempt + step * TRIES_OF_A_STEP + turn.again * TRIES_OF_A_TURN


def _thread(turn: steps.TurnOrder, session: str) -> Thread:
    return Thread(turn.order.fleet, turn.order.run, turn.order.agent, session)
