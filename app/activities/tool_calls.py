"""What a tool call of an agent does: notes go to its memory file, all else is asked of its workflow.

The same call with the same arguments in the same turn is the same call: a program that was interrupted and repeats it
changes nothing the second time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError

from app.activities.crew import Member, Roster
from app.activities.failures import refused
from app.domain import actions as act
from app.domain import events as ev
from app.domain import prompts
from app.domain.envelope import Envelope, MessageState, check_envelope, reference
from app.domain.errors import ActionRefused
from app.domain.interrupt import Interrupt, InterruptKind
from app.domain.ports import ActionResult
from app.domain.text import check_text
from app.store.journal import Journal
from app.workflows import steps
from app.workflows.agent import AgentWorkflow
from app.workflows.state import AgentEnd

MAX_QUESTION_BYTES = 16_384


class ToolCalls:
    """The gateway's ``ActionHandler``."""

    def __init__(self, roster: Roster, journal: Journal, client: Client) -> None:
        self._roster = roster
        self._journal = journal
        self._client = client

    async def handle(self, key: str, name: str, arguments: Mapping[str, object], call_id: str) -> ActionResult:
        """Do what the agent behind the door ``key`` asks. Raises ActionRefused in words for the agent."""
        member = self._roster.get(key)
        if member is None:
            raise ActionRefused("this agent is not at work", operation=name)
        action = act.parse_action(name, arguments)
        try:
            return await self._do(member, action)
        except WorkflowUpdateFailedError as error:
            raise ActionRefused(refused(error)[1], operation=name) from None
        except RPCError as error:
            raise ActionRefused(f"not possible now: {error.message}", operation=name, hint="try again") from None

    async def _do(self, member: Member, action: act.AnyAction) -> ActionResult:
        match action:
            case act.MemoryRead() | act.MemorySearch():
                return ActionResult(_look_up(member, action))
            case act.MemoryAppend() | act.MemoryReplace():
                return ActionResult(self._note(member, action))
            case act.SendMessage():
                return await self._send(member, action)
            case act.Reply():
                return await self._reply(member, action)
            case act.ReadInbox():
                return await self._read_inbox(member)
            case act.AskUser() | act.RequestDebug() | act.ReportProgress():
                return await self._raise(member, action)
            case act.Finish():
                order = steps.FinishOrder(action_id=_action_id(member, action), summary=action.summary[:4000])
                return await self._update(member, "finish", order)

    def _note(self, member: Member, action: act.MemoryAppend | act.MemoryReplace) -> str:
        fact_id = f"{_action_id(member, action)}/memory"
        if self._journal.has(fact_id):
            return "Noted already."
        kind: Literal["append", "replace"] = "append" if isinstance(action, act.MemoryAppend) else "replace"
        change = member.memory.append if kind == "append" else member.memory.replace
        revision = change(action.heading, action.text)
        order = member.order
        fact = ev.MemoryWritten(
            id=fact_id,
            at=datetime.now(UTC),
            fleet=order.fleet,
            run=order.run,
            agent=order.agent,
            revision=revision,
            heading=action.heading,
            text=action.text,
            action=kind,
        )
        self._journal.append(fact)
        return f"Noted under {action.heading!r} (revision {revision})."

    async def _send(self, member: Member, action: act.SendMessage) -> ActionResult:
        message_id = f"m-{_action_id(member, action)}"
        envelope = Envelope(
            id=message_id,
            sender=member.order.agent,
            recipient=action.recipient.strip(),
            subject=action.subject.strip(),
            body=action.body,
            correlation_id=message_id,
            idempotency_key=action.idempotency_key,
            sent_at=datetime.now(UTC),
        )
        return await self._dispatch(member, envelope)

    async def _reply(self, member: Member, action: act.Reply) -> ActionResult:
        original = self._original(member, action.message_id.strip())
        envelope = Envelope(
            id=f"m-{_action_id(member, action)}",
            sender=member.order.agent,
            recipient=original.sender,
            kind="reply",
            subject=original.subject if original.subject.startswith("Re: ") else f"Re: {original.subject}".strip(),
            body=action.body,
            reply_to=original.id,
            correlation_id=original.correlation_id or original.id,
            idempotency_key=action.idempotency_key,
            sent_at=datetime.now(UTC),
        )
        return await self._dispatch(member, envelope)

    def _original(self, member: Member, message_id: str) -> Envelope:
        known = self._journal.find_body(message_id, Envelope)
        if known is None or known.recipient != member.order.agent:
            raise ActionRefused(
                f"you have received no message {message_id!r}", operation="reply", hint="use the id in its first line"
            )
        return known

    async def _dispatch(self, member: Member, envelope: Envelope) -> ActionResult:
        check_envelope(envelope)
        self._journal.put_body(envelope.id, envelope)
        order = steps.SendOrder(action_id=envelope.id, message=reference(envelope))
        outcome: steps.ActionOutcome = await self._handle(member).execute_update(
            "send", order, result_type=steps.ActionOutcome
        )
        if outcome.text.startswith("Accepted"):
            self._journal.append(self._taken(member, envelope))
        return ActionResult(outcome.text + prompts.unread_note(outcome.unread), ok=outcome.ok)

    def _taken(self, member: Member, envelope: Envelope) -> ev.MessageAccepted:
        order, now = member.order, datetime.now(UTC)
        return ev.MessageAccepted(
            id=f"{envelope.id}/taken", at=now, fleet=order.fleet, run=order.run, agent=order.agent, envelope=envelope
        )

    async def _raise(self, member: Member, action: act.AskUser | act.RequestDebug | act.ReportProgress) -> ActionResult:
        interrupt = _interrupt(member, action)
        self._journal.put_body(steps.interrupt_body_id(interrupt.id), interrupt)
        ref = steps.InterruptRef(
            id=interrupt.id, kind=interrupt.kind, title=interrupt.title, blocking=interrupt.blocking
        )
        order = steps.RaiseOrder(action_id=interrupt.id, interrupt=ref)
        return await self._update(member, "raise_interrupt", order)

    async def _read_inbox(self, member: Member) -> ActionResult:
        inbox = await self._handle(member).execute_update(AgentWorkflow.read_inbox)
        if not inbox.message_ids:
            return ActionResult("No new messages.")
        envelopes = [self._journal.body(item, Envelope) for item in inbox.message_ids]
        order, now = member.order, datetime.now(UTC)
        for item in envelopes:
            self._journal.append(
                ev.MessageMoved(
                    id=f"{item.id}/read",
                    at=now,
                    fleet=order.fleet,
                    run=order.run,
                    agent=order.agent,
                    message_id=item.id,
                    state=MessageState.READ,
                )
            )
        return ActionResult(prompts.messages_prompt(envelopes))

    async def _update(self, member: Member, name: str, order: object) -> ActionResult:
        outcome: steps.ActionOutcome = await self._handle(member).execute_update(
            name, order, result_type=steps.ActionOutcome
        )
        return ActionResult(outcome.text + prompts.unread_note(outcome.unread), ok=outcome.ok)

    def _handle(self, member: Member) -> WorkflowHandle[AgentWorkflow, AgentEnd | str]:
        return self._client.get_workflow_handle_for(
            AgentWorkflow.run, steps.agent_workflow_id(member.order.fleet, member.order.agent)
        )


def _look_up(member: Member, action: act.MemoryRead | act.MemorySearch) -> str:
    if isinstance(action, act.MemoryRead):
        return member.memory.read() or "Your memory is empty."
    found = member.memory.search(action.query)
    lines = [f"{heading}: {line}" if heading else line for heading, line in found]
    return "\n".join(lines) or "Nothing found."


def _interrupt(member: Member, action: act.AskUser | act.RequestDebug | act.ReportProgress) -> Interrupt:
    kind, text, details, options, default = _asked(action)
    for words, what in ((text, "the question"), (details, "the details"), (default, "the default"), *_each(options)):
        check_text(words, what=what, max_bytes=MAX_QUESTION_BYTES)
    first, _, rest = text.strip().partition("\n")
    return Interrupt(
        id=f"i-{_action_id(member, action)}",
        agent=member.order.agent,
        kind=kind,
        title=first,
        body="\n\n".join(part for part in (rest.strip(), details.strip()) if part),
        options=options,
        default=default,
        blocking=kind is not InterruptKind.PROGRESS_REPORT,
        raised_at=datetime.now(UTC),
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
    key = getattr(action, "idempotency_key", "")
    what: object = key or [member.turn, action.model_dump(mode="json")]
    text = json.dumps([member.order.run, member.order.agent, action.name, what], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
