"""An agent's memory as its tools see it: its own file and no other, in pages, with a digest for the first prompt."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from datetime import UTC, datetime
from typing import Literal

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from app.activities.member import Member
from app.activities.own_workflow import OwnWorkflow
from app.domain import actions as act
from app.domain import events as ev
from app.domain.digest import DIGEST_TOKENS, digest, estimated_tokens, headings_index, page
from app.domain.errors import ActionRefused, JournalError
from app.domain.fleet import AgentSpec
from app.domain.interrupt import Interrupt, InterruptKind
from app.domain.memory import MAX_MEMORY_BYTES, Change, Dispute
from app.domain.notes import heading_name, section_lines
from app.domain.search import Hit, Query, parse_terms
from app.domain.text import printable
from app.store.journal import Journal
from app.store.search_index import SearchIndex, Source
from app.workflows import steps

KEEP_BOTH, KEEP_THE_USERS, KEEP_THE_AGENTS = "Keep both", "Keep the user's", "Keep the agent's"
_SHOWN_LINES = 12
_FOUND = 10
_NOTHING = "Nothing found."
log = logging.getLogger(__name__)


class NoteBook:
    """Carries out the tools for memory."""

    def __init__(self, journal: Journal, workflow: OwnWorkflow, index: SearchIndex) -> None:
        self._journal = journal
        self._workflow = workflow
        self._index = index

    async def do(
        self, member: Member, action: act.MemoryRead | act.MemoryAppend | act.MemoryReplace, action_id: str
    ) -> str:
        """What the agent is told. The same ``action_id`` again writes nothing. Raises ActionRefused."""
        # In a thread: an editor that is just saving is waited for.
        if isinstance(action, act.MemoryRead):
            told = await asyncio.to_thread(_read, member, action)
        else:
            told = await asyncio.to_thread(self._write, member, action, action_id)
        return told + await self._ask_about_disputes(member)

    async def search(self, member: Member, text: str) -> str:
        """Where it stands in the agent's own memory, the best first; no other's is looked at."""
        order = member.order
        own = Source(order.fleet, order.agent, member.memory.path)
        agents = frozenset({(order.fleet, order.agent)})
        query = Query(parse_terms(text), agents=agents, kinds=frozenset({"memory"}), limit=_FOUND)
        member.memory.read()  # refuses, in words, a file that cannot be used
        try:
            found = await asyncio.to_thread(self._index.search, query, [own])
        except JournalError as error:
            log.warning("the memory of %s is searched without the index: %s", order.agent, error)
            lines = member.memory.search(text, _FOUND)
            return "\n".join(f"{heading}: {line}" if heading else line for heading, line in lines) or _NOTHING
        return "\n".join(map(_told_hit, found.hits)) or _NOTHING

    def _write(self, member: Member, action: act.MemoryAppend | act.MemoryReplace, action_id: str) -> str:
        fact_id = f"{action_id}/memory"
        if self._journal.has(fact_id):
            return "Noted already."
        kind: Literal["append", "replace"] = "append" if isinstance(action, act.MemoryAppend) else "replace"
        change = member.memory.append if kind == "append" else member.memory.replace
        order = member.order
        by = Change("agent", kind, why=action.why.strip(), run=order.run, turn=member.turn, id=action_id)
        revision = change(action.heading, action.text, by)
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
        return f"Noted under {action.heading!r} (revision {revision}).{_advice(member.memory.read())}"

    async def _ask_about_disputes(self, member: Member) -> str:
        """Ask the user about lines that both rewrote; what cannot be asked now is asked at the next call."""
        asked = []
        for dispute in await asyncio.to_thread(member.memory.disputes):
            interrupt = _question(member, dispute)
            self._journal.put_body(steps.interrupt_body_id(interrupt.id), interrupt)
            ref = steps.InterruptRef(
                id=interrupt.id, kind=interrupt.kind, title=interrupt.title, blocking=interrupt.blocking
            )
            order = steps.RaiseOrder(action_id=interrupt.id, interrupt=ref)
            try:
                await self._workflow.outcome(member, "raise_interrupt", order)
            except (WorkflowUpdateFailedError, RPCError) as error:
                log.info("the user is asked later about the memory of %s: %s", member.order.agent, error)
                continue
            await asyncio.to_thread(member.memory.tell, dispute)
            asked.append(interrupt.id)
        if not asked:
            return ""
        return f"\n\nThe user rewrote the same lines at the same time: both are kept, the user is asked ({asked[-1]})."


async def memory_digest(member: Member) -> str:
    """What of its memory an agent gets in its first prompt."""
    try:
        return await asyncio.to_thread(_digest, member)
    except ActionRefused as error:
        return f"(It cannot be used now: {printable(str(error))}. Tell the user with ask_user.)"


def _digest(member: Member) -> str:
    memory = member.memory
    return digest(memory.read(), about=_task_of(member.spec), recent=memory.recent_headings())


def _task_of(spec: AgentSpec) -> str:
    return "\n".join((spec.initial_instructions, spec.description, *spec.responsibilities))


def _read(member: Member, action: act.MemoryRead) -> str:
    text = member.memory.read().strip("\n")
    if not text.strip():
        return "Your memory is empty."
    lines = text.split("\n")
    if action.heading:
        name = heading_name(action.heading)
        lines = section_lines(lines, name)
        if not lines:
            raise ActionRefused(f"there is no heading {name!r}", operation="memory_read", hint=headings_index(text))
    if action.start_line > len(lines):
        raise ActionRefused(f"there are {len(lines)} lines", operation="memory_read", hint="take a lower start_line")
    shown, more = page(lines, action.start_line)
    if not more:
        return shown
    whole = f"It goes on: memory_read(start_line={more}) reads from line {more} of {len(lines)}"
    return f"{shown}\n\n({whole}, memory_read(heading=…) one heading.)\n\n{headings_index(text)}"


def _told_hit(hit: Hit) -> str:
    words = "".join(text for text, _ in hit.snippet)
    return f"line {hit.line}, {hit.heading}: {words}" if hit.heading else f"line {hit.line}: {words}"


def _advice(text: str) -> str:
    """What an agent with a large memory is told."""
    tokens = estimated_tokens(text)
    if tokens <= DIGEST_TOKENS:
        return ""
    size = len(text.encode("utf-8", errors="replace"))
    return (
        f" Your memory has {size} of {MAX_MEMORY_BYTES} bytes, about {tokens} tokens: a first prompt brings "
        f"{DIGEST_TOKENS} of them. Condense what is done with memory_replace."
    )


def _question(member: Member, dispute: Dispute) -> Interrupt:
    order = member.order
    name = f"{order.fleet}/{order.agent}/memory/{dispute.revision}"
    parts = [f"Both are in {member.memory.path.name} now (revision {dispute.revision}); your answer goes to the agent."]
    for conflict in dispute.conflicts[:5]:
        parts += ["The user's:", _quoted(conflict.theirs), "The agent's:", _quoted(conflict.ours)]
    return Interrupt(
        id=f"i-{hashlib.sha256(name.encode()).hexdigest()[:12]}",
        agent=order.agent,
        kind=InterruptKind.APPROVAL,
        title=f"The user and {order.agent} rewrote the same lines of its memory: which hold?",
        body="\n\n".join(parts),
        options=(KEEP_BOTH, KEEP_THE_USERS, KEEP_THE_AGENTS),
        default=KEEP_BOTH,
        blocking=False,
        raised_at=datetime.now(UTC),
    )


def _quoted(lines: tuple[str, ...]) -> str:
    shown = [f"> {printable(line)[:400]}" for line in lines[:_SHOWN_LINES]]
    more = [f"> … {len(lines) - _SHOWN_LINES} lines more"] if len(lines) > _SHOWN_LINES else []
    return "\n".join([*shown, *more]) or "> (taken away)"
