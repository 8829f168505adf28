"""What a tool call of an agent does: notes go to its memory file, all else is asked of its workflow.

The same call with the same arguments in the same turn is the same call: a program that was interrupted and repeats it
changes nothing the second time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.service import RPCError

from app.activities.failures import refused
from app.activities.leave import Leave
from app.activities.mail_room import MailRoom
from app.activities.member import Member, Roster
from app.activities.messages import Messages
from app.activities.note_book import NoteBook
from app.activities.own_workflow import OwnWorkflow
from app.activities.refusals import Refusals
from app.activities.turn_questions import TurnQuestions
from app.activities.waiting import BLOCK_SECONDS, Waiting
from app.domain import actions as act
from app.domain import prompts
from app.domain.errors import ActionRefused
from app.domain.interrupt import Interrupt, InterruptKind, Risk, checked
from app.domain.ports import ActionResult
from app.domain.text import check_text
from app.store.search_index import SearchIndex
from app.workflows import steps

MAX_QUESTION_BYTES = 16_384


class ToolCalls:
    """The gateway's ``ActionHandler``."""

    def __init__(
        self,
        roster: Roster,
        mail: MailRoom,
        client: Client,
        index: SearchIndex,
        *,
        block_seconds: float = BLOCK_SECONDS,
    ) -> None:
        self._roster = roster
        self._mail = mail
        self._journal = mail.journal
        self._refusals = Refusals()
        self._workflow = OwnWorkflow(client)
        self._notes = NoteBook(mail.journal, self._workflow, index)
        self._leave = Leave(TurnQuestions(mail, self._workflow), block_seconds)
        self._messages = Messages(mail, self._workflow, Waiting(mail, self._workflow, block_seconds))

    async def close(self) -> None:
        """Tell the workflows nothing more; before the client is closed."""
        await self._workflow.close()

    async def handle(self, key: str, name: str, arguments: Mapping[str, object], call_id: str) -> ActionResult:
        """Do what the agent behind the door ``key`` asks. Raises ActionRefused in words for the agent."""
        member = self._roster.get(key)
        if member is None:
            raise ActionRefused("this agent is not at work", operation=name)
        try:
            action = act.parse_action(name, arguments)
            await self._leave.take(member, action)
            return await self._do(member, action)
        except WorkflowUpdateFailedError as error:
            refusal = ActionRefused(refused(error)[1], operation=name)
            self._note_refusal(member, name, refusal)
            raise refusal from None
        except ActionRefused as error:
            self._note_refusal(member, name, error)
            raise
        except RPCTimeoutOrCancelledError:
            _let_cancellation_pass()
            raise ActionRefused("not possible now: no answer in time", operation=name, hint="try again") from None
        except RPCError as error:
            raise ActionRefused(f"not possible now: {error.message}", operation=name, hint="try again") from None

    def refused(self, key: str, reason: str) -> None:
        """Put on record that what came through the door ``key`` was no tool call."""
        member = self._roster.get(key)
        if member is not None:
            self._note_refusal(member, "tools", ActionRefused(reason))

    async def _do(self, member: Member, action: act.AnyAction) -> ActionResult:
        match action:
            case act.MemorySearch():
                return self._with_unread(member, await self._notes.search(member, action.query))
            case act.MemoryRead() | act.MemoryAppend() | act.MemoryReplace():
                return self._with_unread(member, await self._notes.do(member, action, _action_id(member, action)))
            case act.SendMessage() | act.Reply() | act.Confirm() | act.AwaitReply() | act.ReadInbox():
                return await self._messages.do(member, action, _action_id(member, action))
            case act.AskUser() | act.RequestDebug() | act.ReportProgress():
                return await self._raise(member, action)
            case act.Finish():
                check_text(action.summary, what="the summary", max_bytes=MAX_QUESTION_BYTES)
                order = steps.FinishOrder(action_id=_action_id(member, action), summary=action.summary[:4000])
                return await self._update(member, "finish", order)

    async def _raise(self, member: Member, action: act.AskUser | act.RequestDebug | act.ReportProgress) -> ActionResult:
        interrupt = _interrupt(member, action)
        self._journal.put_body(steps.interrupt_body_id(interrupt.id), interrupt)
        ref = steps.InterruptRef(
            id=interrupt.id,
            kind=interrupt.kind,
            title=interrupt.title,
            blocking=interrupt.blocking,
            expires_at=interrupt.expires_at,
        )
        order = steps.RaiseOrder(action_id=interrupt.id, interrupt=ref)
        return await self._update(member, "raise_interrupt", order)

    async def _update(self, member: Member, name: str, order: object) -> ActionResult:
        outcome = await self._workflow.outcome(member, name, order)
        return self._with_unread(member, outcome.text, ok=outcome.ok)

    def _with_unread(self, member: Member, text: str, *, ok: bool = True) -> ActionResult:
        order = member.order
        unread = self._mail.postbox.count_unread(order.fleet, order.run, order.agent)
        return ActionResult(text + prompts.unread_note(unread), ok=ok)

    def _note_refusal(self, member: Member, tool: str, error: ActionRefused) -> None:
        for fact in self._refusals.facts(member.order, tool, error.message, datetime.now(UTC)):
            self._journal.append(fact)


def _let_cancellation_pass() -> None:
    """Temporal's client turns a cancellation of the caller into an error of its own."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _interrupt(member: Member, action: act.AskUser | act.RequestDebug | act.ReportProgress) -> Interrupt:
    kind, text, details, options, default = _asked(action)
    for words, what in ((text, "the question"), (details, "the details"), (default, "the default"), *_each(options)):
        check_text(words, what=what, max_bytes=MAX_QUESTION_BYTES)
    exhibits = () if isinstance(action, act.ReportProgress) else checked(action.exhibits)
    first, _, rest = text.strip().partition("\n")
    now = datetime.now(UTC)
    seconds = action.expires_after_seconds if isinstance(action, act.AskUser) else None
    return Interrupt(
        id=f"i-{_action_id(member, action)}",
        agent=member.order.agent,
        kind=kind,
        title=first,
        body="\n\n".join(part for part in (rest.strip(), details.strip()) if part),
        options=options,
        default=default,
        blocking=kind is not InterruptKind.PROGRESS_REPORT,
        raised_at=now,
        risk=action.risk if isinstance(action, act.AskUser) else Risk.LOW,
        expires_at=None if seconds is None else now + timedelta(seconds=seconds),
        exhibits=exhibits,
    )


def _asked(
    action: act.AskUser | act.RequestDebug | act.ReportProgress,
) -> tuple[InterruptKind, str, str, tuple[str, ...], str]:
    match action:
        case act.AskUser():
            options = tuple(dict.fromkeys(option.strip() for option in action.options if option.strip()))
            return InterruptKind.USER_INPUT, action.question, action.details, options, action.default.strip()
        case act.RequestDebug():
            return InterruptKind.DEBUG_REQUEST, action.problem, action.evidence, (), ""
        case act.ReportProgress():
            return InterruptKind.PROGRESS_REPORT, action.summary, "", (), ""


def _each(options: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((option, "an option") for option in options)


def _action_id(member: Member, action: act.AnyAction) -> str:
    """Twelve hex digits that name this call: its own key when it has one, else its turn and its arguments."""
    what: object = getattr(action, "idempotency_key", "") or [member.turn, action.model_dump(mode="json")]
    if isinstance(action, act.Confirm):
        what = action.message_id.strip()  # one decides once, whatever one says
    text = json.dumps([member.order.run, member.order.agent, action.name, what], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
