"""The activities of an agent's workflow: its machine, its turns, its workspace, its facts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from temporalio import activity

from app.activities.arrivals import turn_topic
from app.activities.confirmations import ConfirmationSteps
from app.activities.crew import Crew
from app.activities.failures import MAX_TRIES, told_to_temporal
from app.activities.heartbeat import beating
from app.activities.limit_steps import LimitSteps
from app.activities.machine_steps import MachineSteps, prepared
from app.activities.mail_room import MailRoom
from app.activities.member import Member
from app.activities.order_steps import OrderSteps
from app.activities.playing import Playing, is_given_up
from app.activities.recording import recorder_of
from app.activities.step_turns import StepTurns
from app.activities.turn_log import TurnLog, named
from app.activities.warden import Warden
from app.config.approvals import open_channel
from app.domain import events as ev
from app.domain.envelope import USER, Envelope, MessageState
from app.domain.errors import ConfigError, RuntimeFailure, SandboxError
from app.domain.interrupt import Interrupt
from app.domain.ports import Sandbox, TurnOutcome
from app.workflows import steps
from app.workflows.holds import Hold

CANCEL_GRACE_SECONDS = 10.0
TRIES_OF_A_STEP = 100
"""More than a step is ever tried: a turn that was cut by a limit goes on with a number of try of its own."""
log = logging.getLogger(__name__)


class AgentSteps:
    """What ``workflows.steps`` names, done."""

    def __init__(self, crew: Crew, mail: MailRoom, warden: Warden) -> None:
        self._crew = crew
        self._mail = mail
        self._warden = warden
        self._journal = mail.journal
        self._log = TurnLog(mail, crew.brief)

    def all(self) -> Sequence[Callable[..., Any]]:
        """The activities, for a worker."""
        return (
            self.record,
            self.record_message,
            self.record_delivery,
            self.open_channel,
            self.record_interrupt,
            self.prepare_agent,
            self.run_turn,
            self.mirror_workspace,
            self.release_agent,
            *MachineSteps(self._crew).all(),
            *ConfirmationSteps(self._journal).all(),
            *LimitSteps(self._crew, self._warden).all(),
            *OrderSteps(self._journal).all(),
            *StepTurns(self._crew, self._mail, self._warden).all(),
        )

    @activity.defn(name=steps.RECORD)
    async def record(self, batch: steps.RecordBatch) -> None:
        """Append facts."""
        self._journal.append(*batch.facts)

    @activity.defn(name=steps.RECORD_MESSAGE)
    async def record_message(self, order: steps.MessageRecord) -> None:
        """Append that a message was taken in, with its text from the store."""
        fields = order.model_dump(include={"id", "at", "fleet", "run", "agent", "state", "reason"})
        envelope = self._journal.body(order.message_id, Envelope)
        self._journal.append(ev.MessageAccepted(**fields, envelope=envelope))

    @activity.defn(name=steps.RECORD_DELIVERY)
    async def record_delivery(self, record: steps.DeliveryRecord) -> None:
        """Append that messages lie before their recipient, with all that may be missing before."""
        facts: list[ev.Event] = []
        for message_id in record.message_ids:
            facts += _delivery(record, self._journal.body(message_id, Envelope))
        self._journal.append(*facts)

    @activity.defn(name=steps.OPEN_CHANNEL)
    async def open_channel(self, order: steps.ChannelOrder) -> None:
        """Write the channel into approvals.yaml: the next run has it, too."""
        root = Path(order.order.project_file).parent
        try:
            await asyncio.to_thread(open_channel, root, order.order.agent, order.recipient)
        except ConfigError:
            # This run has it all the same; the user is asked again in the next one.
            log.warning("the channel from %s to %s is not kept", order.order.agent, order.recipient, exc_info=True)

    @activity.defn(name=steps.RECORD_INTERRUPT)
    async def record_interrupt(self, order: steps.InterruptRecord) -> None:
        """Append an interrupt, with its text from the store."""
        fields = order.model_dump(include={"id", "at", "fleet", "run", "agent"})
        self._journal.append(ev.InterruptRaised(**fields, interrupt=self._journal.body(order.body, Interrupt)))

    @activity.defn(name=steps.PREPARE_AGENT)
    async def prepare_agent(self, prepare: steps.PrepareOrder) -> steps.Prepared:
        """Bring the machine up, with the workspace in it."""
        async with told_to_temporal(), beating():
            member = await self._crew.begin(prepare.order, fresh=prepare.fresh)
        return prepared(member)

    @activity.defn(name=steps.RUN_TURN)
    async def run_turn(self, turn: steps.TurnOrder) -> steps.TurnResult:
        """Give the agent its prompt and wait for the end of its turn; go on with it when a crash cut it."""
        async with told_to_temporal(), beating():
            member = None
            try:
                member = await self._crew.member(turn.order)
                outcome = await self._turn(member, turn)
            except SandboxError as error:
                if member is not None:
                    await self._crew.lost(member, error)
                if activity.info().attempt < MAX_TRIES:
                    raise
                return _held(self._warden.machine_lost(turn, error.message))
            except RuntimeFailure:
                hold = None if member is None else self._warden.held(member, turn)
                if hold is None:
                    raise
                if self._log.has_finished(turn):  # it wanted to say goodbye: nobody is asked whether it may
                    self._log.end(turn, TurnOutcome(session="", stop_reason="end_turn"), 0.0)
                    return steps.TurnResult(stop_reason="end_turn", session="")
                return _held(hold)
        return steps.TurnResult(stop_reason=outcome.stop_reason, session=outcome.session)

    @activity.defn(name=steps.MIRROR_WORKSPACE)
    async def mirror_workspace(self, mirror: steps.MirrorOrder) -> None:
        """Bring changed files out into ``sandbox_path``, and the agent's branch when it has a repository."""
        async with told_to_temporal(), beating():
            member = await self._crew.member(mirror.order)
            if member.sandbox is None:
                raise SandboxError(f"{mirror.order.agent} has no machine", operation="mirror the workspace")
            try:
                report = await self._crew.workspaces.bring_out(member.sandbox, member.project, member.spec)
            except SandboxError as error:
                await self._crew.lost(member, error)
                raise
            self._journal.append(
                ev.WorkspaceMirrored(
                    **named(mirror.order, f"t{mirror.turn}/mirrored"),
                    turn=mirror.turn,
                    files=report.files,
                    bytes=report.bytes,
                    removed=report.removed,
                    refused=tuple(report.refused),
                )
            )

    @activity.defn(name=steps.RELEASE_AGENT)
    async def release_agent(self, release: steps.ReleaseOrder) -> None:
        """End the program, power the machine off; it waits for nobody any more."""
        order = release.order
        self._mail.arrivals.rouse(turn_topic(order.fleet, order.agent))
        self._mail.postbox.end_waits(order.fleet, order.run, order.agent)
        async with told_to_temporal(), beating():
            await self._crew.release(release.order)

    async def _turn(self, member: Member, turn: steps.TurnOrder) -> TurnOutcome:
        if member.sandbox is None:
            raise SandboxError(f"{turn.order.agent} has no machine", operation="run a turn")
        async with member.beginning:
            playing = member.playing
            if playing is None or playing.request.turn != turn.turn:
                playing = member.playing = await self._play(member, member.sandbox, turn)
        recorder = playing.recorder
        try:
            outcome = await self._outcome(member, turn, playing)
            if member.refused_at is not None:  # whatever the program makes of that
                recorder.flush()
                raise RuntimeFailure("its turn was cut by a limit", operation="run a turn")
        except BaseException:
            if not is_given_up() and member.playing is playing:
                member.playing = None
            raise
        recorder.mark_read()
        recorder.flush()
        self._end_waits(member)
        await member.told()  # what it has read, before its next turn is made of what it has not
        self._log.end(turn, outcome, time.monotonic() - playing.began)
        return outcome

    async def _play(self, member: Member, sandbox: Sandbox, turn: steps.TurnOrder) -> Playing:
        attempt = activity.info().attempt + turn.again * TRIES_OF_A_STEP
        member.begin_turn(turn.turn)
        request = await self._log.begin(member, turn, attempt)
        recorder = recorder_of(self._mail, member, turn, attempt)
        began = time.monotonic()
        member.ending = False
        task = asyncio.create_task(member.runtime.run_turn(sandbox, request, recorder))
        return Playing(request, recorder, task, began)

    async def _outcome(self, member: Member, turn: steps.TurnOrder, playing: Playing) -> TurnOutcome:
        """The turn's outcome; when the activity is cancelled, the agent is asked to stop before we let go of it."""
        cutting = asyncio.create_task(member.cut.wait())
        try:
            await asyncio.wait({playing.task, cutting}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.task.done():
                await playing.end(partial(self._cancel, member), CANCEL_GRACE_SECONDS)
                raise RuntimeFailure("its turn was ended at a limit", operation="run a turn")
            return playing.task.result()
        except asyncio.CancelledError:
            if is_given_up():
                raise  # the next try takes it up
            if activity.is_worker_shutdown():
                await playing.drop()  # the program in the machine goes on; the next engine takes the turn up again
                raise
            await playing.end(partial(self._cancel, member), CANCEL_GRACE_SECONDS)
            playing.recorder.flush()
            cancelled = TurnOutcome(session=playing.request.session or "", stop_reason="cancelled")
            self._log.end(turn, cancelled, time.monotonic() - playing.began)
            raise
        finally:
            cutting.cancel()

    async def _cancel(self, member: Member) -> None:
        """Tool calls that wait are answered first: the program could not stop before."""
        self._end_waits(member)
        await member.runtime.cancel_turn()

    def _end_waits(self, member: Member) -> None:
        order, member.ending = member.order, True
        self._mail.arrivals.rouse(turn_topic(order.fleet, order.agent))
        self._mail.postbox.end_waits(order.fleet, order.run, order.agent)


def _held(hold: Hold) -> steps.TurnResult:
    """The turn is not over: it goes on when the hold is."""
    return steps.TurnResult(stop_reason="held", session="", hold=hold)


def _delivery(record: steps.DeliveryRecord, envelope: Envelope) -> list[ev.Event]:
    base = record.model_dump(include={"at", "fleet", "run", "agent"})
    taken = base | {"agent": record.agent if envelope.sender == USER else envelope.sender}
    facts: list[ev.Event] = [ev.MessageAccepted(id=f"{envelope.id}/taken", **taken, envelope=envelope)]
    moved = [(envelope.id, MessageState.DELIVERED)]
    if envelope.reply_to:
        moved.append((envelope.reply_to, MessageState.ANSWERED))
    for message_id, state in moved:
        facts.append(ev.MessageMoved(id=f"{message_id}/{state}", **base, message_id=message_id, state=state))
    return facts
