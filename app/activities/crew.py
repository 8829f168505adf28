"""The agents at work in this engine: each with its machine, its door of the gateway and its program.

Nothing here is the record of anything: after a crash a member is put together again from the order it is asked with.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sqlite_utils import Database

from app.activities.limit_log import LimitLog
from app.activities.member import Member, Roster, machine_name, member_key
from app.activities.terminals import open_terminal
from app.activities.workspaces import Workspaces
from app.config import Paths, load_project, load_rules, prepare_project
from app.config.rules_book import RulesBook, RulesNews
from app.domain import events as ev
from app.domain import prompts
from app.domain.errors import SandboxError, SandboxLost, SkerryError
from app.domain.fleet import AgentSpec, Limits
from app.domain.machines import Notice, SandboxRequest, unheard
from app.domain.ports import ActionResult, AgentRuntime, Brief, Progress, Sandbox, SandboxHost
from app.domain.terminal import Terminal, TerminalWish
from app.domain.text import first_line, printable
from app.gateway.door import DoorSpec, ModelApi, Provider, Rehearsal
from app.gateway.server import Gateway
from app.store.journal import Journal
from app.store.memory import MemoryFile
from app.store.memory_revisions import Ledger
from app.store.transcripts import Transcripts
from app.workflows.steps import AgentOrder

log = logging.getLogger(__name__)

MachineFact = Literal["starting", "ready", "paused", "suspended", "lost", "stopped", "destroyed"]
PAUSE_LOOK_SECONDS = 0.25
SYNC_SECONDS = 60.0
LOST_REMEDY = "it is started again on its own disk; what it had not yet written there is lost"

GATEWAY_URL = "http://127.0.0.1:8080"
"""The gateway as every machine sees it; the channel, not the address, tells who calls."""


class Crew:
    """Puts agents to work and lets them go."""

    def __init__(
        self,
        roster: Roster,
        *,
        host: SandboxHost,
        gateway: Gateway,
        journal: Journal,
        memory: Database,
        paths: Paths,
        make_runtime: Callable[[AgentSpec], AgentRuntime],
    ) -> None:
        self._members = roster
        self._host = host
        self._gateway = gateway
        self._journal = journal
        self._ledger = Ledger(memory)
        self._paths = paths
        self.workspaces = Workspaces(paths)
        self.transcripts = Transcripts(paths.journal_db)
        self._make_runtime = make_runtime

    async def member(self, order: AgentOrder, *, within_turn: bool = False) -> Member:
        """The agent with its door open and its machine up; both are made or found again when they are not.

        ``within_turn``: a door that is open stays as it is. Waits while the agent is paused: a step that is tried again
        after a crash must not set its machine going.
        """
        while self._is_paused(order):  # noqa: ASYNC110  # the end of a pause is a fact, and facts make no noise
            await asyncio.sleep(PAUSE_LOOK_SECONDS)
        if self._is_outdated(order):
            await self._let_go(member_key(order.fleet, order.agent))
        member = self._enlist(order)
        async with member.lock:
            if member.sandbox is None or not within_turn:
                await self._open_door(member)
            if member.sandbox is None:
                await self._open_machine(member)
        return member

    async def begin(self, order: AgentOrder, *, fresh: bool) -> Member:
        """``member``, on a new machine with its workspace seeded when ``fresh``."""
        key = member_key(order.fleet, order.agent)
        if fresh:
            await self.workspaces.check(self._enlist(order).project)  # before anything of an earlier run goes
            await self._let_go(key)
            await self._host.destroy(machine_name(order.fleet, order.agent))
        return await self.member(order)

    async def pause(self, order: AgentOrder) -> None:
        """Stop the machine's processors; programs and channels stay as they are."""
        name = machine_name(order.fleet, order.agent)
        if await self._host.state(name) == "running":
            await self._host.pause(name)
            self._note_sandbox(order, "paused", "its processors stand still; its memory stays", 0.0)

    async def command_ended(self, order: AgentOrder) -> None:
        """Return when no tool call of the agent's turn is at work, or no turn is under way here."""
        member = self._members.get(member_key(order.fleet, order.agent))
        if member is None:
            return
        if member.playing is not None:
            await member.playing.quiet()
        await member.underway.quiet()

    async def suspend(self, order: AgentOrder) -> None:
        """Save the machine to disk and free its memory. The program ends; its conversation is loaded again later."""
        name, began = machine_name(order.fleet, order.agent), time.monotonic()
        if await self._host.state(name) not in ("running", "paused"):
            return
        key = member_key(order.fleet, order.agent)
        member = self._members.get(key)
        if member is not None and member.sandbox is not None:
            # Whoever stops the agent meanwhile throws the saved memory away: its files must be on the disk.
            await _quietly(partial(member.sandbox.run, "sync", timeout=SYNC_SECONDS, user="root"))
        await self._let_go(key)
        await self._host.suspend(name)
        note = "memory and state are on the disk"
        self._note_sandbox(order, "suspended", note, time.monotonic() - began)

    async def thaw(self, order: AgentOrder) -> bool:
        """Let a paused machine go on; False when it was not paused."""
        name = machine_name(order.fleet, order.agent)
        if await self._host.state(name) != "paused":
            return False
        await self._host.resume(name)
        self._note_sandbox(order, "ready", "goes on", 0.0)
        return True

    async def resume(self, order: AgentOrder) -> None:
        """Let a paused machine go on, bring one that is on the disk, or gone, up again."""
        if not await self.thaw(order):
            await self.member(order)

    async def reset(self, order: AgentOrder) -> Member:
        """A new machine instead of the agent's own."""
        await self._let_go(member_key(order.fleet, order.agent))
        await self._destroy(order, "reset: a clean one is made")
        return await self.member(order)

    async def remove(self, order: AgentOrder) -> None:
        """The machine with its disk, keys and sockets: all gone."""
        key = member_key(order.fleet, order.agent)
        await self._let_go(key)
        await self._destroy(order, "removed with its disk")
        await self._gateway.close_door(key)

    async def lost(self, member: Member, error: SandboxError) -> None:
        """The machine or its channel failed: the next ``member`` call opens it anew."""
        if isinstance(error, SandboxLost):
            self._note_sandbox(member.order, "lost", f"{error.message}; {LOST_REMEDY}", 0.0)
        async with member.lock:
            sandbox, member.sandbox = member.sandbox, None
            if sandbox is not None:
                await _quietly(sandbox.close)

    async def release(self, order: AgentOrder) -> None:
        """End the agent's program, power its machine off, close its door. The disk stays."""
        key, name = member_key(order.fleet, order.agent), machine_name(order.fleet, order.agent)
        await self._host.resume(name)  # one that stands still can neither end its programs nor write its files
        await self._let_go(key)
        await self._host.stop(name)
        await self._gateway.close_door(key)
        self._note_sandbox(order, "stopped", "powered off; the disk is kept", 0.0)

    def limits(self, order: AgentOrder) -> Limits:
        """The limits that the agent's next turn has: those of agents.yaml as it was read last. Raises ConfigError."""
        member = self._members.get(member_key(order.fleet, order.agent))
        if member is not None and member.order.run == order.run and not self._is_outdated(order):
            return member.spec.limits
        return load_project(Path(order.project_file)).fleet.agent(order.agent).limits

    async def model_answers(self, order: AgentOrder) -> bool:
        """Whether the agent's model provider is there to be asked; its machine is not needed for that."""
        member = self._enlist(order)
        await self._open_door(member)
        return await self._gateway.model_answers(member_key(order.fleet, order.agent))

    async def terminal(self, wish: TerminalWish) -> Terminal:
        """A terminal for a person. Raises NotFound or SandboxError naming the machine's state and the remedy."""
        member = self._members.get(member_key(wish.fleet, wish.agent))
        state = await self._host.state(machine_name(wish.fleet, wish.agent))
        return await open_terminal(wish, None if member is None else member.sandbox, state)

    async def close(self) -> None:
        """Let go of all agents; their machines go on."""
        for key in list(self._members):
            member = self._members.pop(key)
            if member.limits is not None:
                member.limits.close()
            if member.playing is not None:
                await member.playing.drop()
            await member.underway.drop()
            if member.sandbox is not None:
                await _quietly(member.sandbox.close)
        self.transcripts.close()

    async def use_tool(self, member: Member, name: str, arguments: Mapping[str, object], call_id: str) -> ActionResult:
        """What a tool call through the agent's door would do, and the agent be told of it."""
        return await self._gateway.use_tool(
            member_key(member.order.fleet, member.order.agent), name, arguments, call_id
        )

    def _enlist(self, order: AgentOrder) -> Member:
        key = member_key(order.fleet, order.agent)
        member = self._members.get(key)
        if member is None or member.order.run != order.run:
            project = load_project(Path(order.project_file))
            prepare_project(project)
            spec = project.fleet.agent(order.agent)
            lock = self._paths.memory_lock(order.fleet, order.agent)
            place = project.memory_file(spec)
            memory = MemoryFile(place, self._ledger, fleet=order.fleet, agent=order.agent, lock=lock)
            rules = RulesBook(project, spec, partial(self._note_rules, order))
            runtime = self._make_runtime(spec)
            member = Member(order, project, spec, runtime, memory, rules, reloaded=self._reloaded(order))
            member.limits = LimitLog(lambda notice, count: self._note_limit(order, notice, count))
            self._members[key] = member
        return member

    def _is_outdated(self, order: AgentOrder) -> bool:
        """Whether the team was reloaded since: then the member is put together again, as after a crash.

        Asked between turns only. What its machine is made of changes when that is started the next time.
        """
        member, newest = self._members.get(member_key(order.fleet, order.agent)), self._reloaded(order)
        if member is None or member.reloaded == newest or member.is_busy:
            return False
        try:
            load_project(Path(order.project_file)).fleet.agent(order.agent)
        except SkerryError as error:  # changed again since, or the agent is on its way out: the old one serves
            log.warning("%s goes on as it was: %s", machine_name(order.fleet, order.agent), error)
            member.reloaded = newest
            return False
        return True

    def _reloaded(self, order: AgentOrder) -> str:
        fact = self._journal.last("fleet_reloaded", fleet=order.fleet, run=order.run)
        return "" if fact is None else fact.id

    async def _open_door(self, member: Member) -> None:
        order = member.order
        key = member_key(order.fleet, order.agent)
        spec = DoorSpec(
            key=key,
            fleet=order.fleet,
            run=order.run,
            agent=order.agent,
            socket=self._paths.door(key),
            upstream=_upstream(member),
        )
        await self._gateway.open_door(spec)

    async def _open_machine(self, member: Member) -> None:
        order = member.order
        self._note_sandbox(order, "starting", "", 0.0)
        began = time.monotonic()
        request = self._request(member)
        # Remembered until it is done: a machine that failed on its first start has a disk at the next try.
        member.bare = member.bare or await self._host.state(request.name) == "absent"
        notify = member.limits.notify if member.limits is not None else unheard
        sandbox = await self._host.ensure(request, self._progress(order), notify)
        if member.bare:
            await self._furnish(member, sandbox)
        await member.runtime.prepare(sandbox, self._brief(member))
        member.sandbox = sandbox
        self._note_sandbox(order, "ready", sandbox.note, time.monotonic() - began)

    async def brief(self, member: Member) -> None:
        """Write what the agent's program reads when it starts, as it is now; a machine to come gets it then."""
        if member.sandbox is not None:
            await member.runtime.prepare(member.sandbox, self._brief(member))

    async def _furnish(self, member: Member, sandbox: Sandbox) -> None:
        """A machine without a past: it gets the workspace; a conversation went with the one before it."""
        await self.workspaces.seed(sandbox, member.project, member.spec)
        order = member.order
        known = self._journal.last("session_opened", fleet=order.fleet, run=order.run, agent=order.agent)
        if isinstance(known, ev.SessionOpened) and known.session:
            self._journal.append(ev.SessionOpened(**_fact(order, "session/none"), session=""))
        member.bare, member.clean = False, True

    def _request(self, member: Member) -> SandboxRequest:
        spec, order = member.spec, member.order
        return SandboxRequest(
            name=machine_name(order.fleet, order.agent),
            hostname=order.agent,
            image=spec.sandbox.image,
            packs=spec.packs,
            cpus=spec.sandbox.cpus,
            memory_mib=spec.sandbox.memory_mib,
            disk_gib=spec.sandbox.disk_gib,
            door=self._paths.door(member_key(order.fleet, order.agent)),
            processes=spec.limits.processes,
            command_seconds=spec.limits.command,
        )

    def _brief(self, member: Member) -> Brief:
        spec, project, rehearsed = member.spec, member.project, bool(member.order.rehearsal)
        _, prose = load_rules(project, spec)
        return Brief(
            agent=spec.id,
            model=None if rehearsed else spec.model,
            provider="rehearsal" if rehearsed else spec.provider_name,
            agents_md=prompts.about(spec, project.fleet, prose),
            gateway_url=GATEWAY_URL,
            door=self._paths.door(member_key(member.order.fleet, member.order.agent)),
            api=project.fleet.provider_of(spec).api,
        )

    def _progress(self, order: AgentOrder) -> Progress:
        def tell(words: str) -> None:
            log.info("%s: %s", machine_name(order.fleet, order.agent), words)
            self._note_sandbox(order, "starting", words, 0.0)

        return tell

    def _note_sandbox(self, order: AgentOrder, state: MachineFact, note: str, seconds: float) -> None:
        named = _fact(order, f"machine/{state}")
        self._journal.append(ev.SandboxChanged(**named, state=state, note=note, seconds=round(seconds, 3)))

    def _note_limit(self, order: AgentOrder, notice: Notice, count: int) -> None:
        named = _fact(order, f"limit/{notice.limit}")
        detail = printable(first_line(notice.detail, 400))
        self._journal.append(ev.LimitReached(**named, limit=notice.limit, detail=detail, count=count))

    def _note_rules(self, order: AgentOrder, news: RulesNews) -> None:
        self._journal.append(ev.RulesReread(**_fact(order, f"rules/{news.file}"), file=news.file, problem=news.problem))

    def _is_paused(self, order: AgentOrder) -> bool:
        moved = self._journal.last("agent_moved", fleet=order.fleet, run=order.run, agent=order.agent)
        return isinstance(moved, ev.AgentMoved) and moved.state is ev.AgentStatus.PAUSED

    async def _destroy(self, order: AgentOrder, note: str) -> None:
        name = machine_name(order.fleet, order.agent)
        was = await self._host.state(name)
        await self._host.destroy(name)
        if was != "absent":
            self._note_sandbox(order, "destroyed", note, 0.0)

    async def _let_go(self, key: str) -> None:
        member = self._members.pop(key, None)
        if member is None:
            return
        if member.limits is not None:
            member.limits.close()
        await _quietly(member.runtime.close)
        if member.playing is not None:
            await member.playing.drop()
        await member.underway.drop()
        if member.sandbox is not None:
            await _quietly(member.sandbox.close)


def _fact(order: AgentOrder, what: str) -> dict[str, Any]:
    """The fields of a fact that is new each time."""
    now = datetime.now(UTC)
    name = f"{order.run}/{order.agent}/{what}/{now.timestamp():.6f}"
    return {"id": name, "at": now, "fleet": order.fleet, "run": order.run, "agent": order.agent}


def _upstream(member: Member) -> Rehearsal | Provider:
    if member.order.rehearsal:
        return Rehearsal(scenario=Path(member.order.rehearsal))
    name = member.spec.provider_name
    provider = member.project.fleet.provider_of(member.spec)
    api: ModelApi = "anthropic" if provider.api == "anthropic" else "openai"
    return Provider(name=name, api=api, base_url=provider.base_url, credential=provider.credential)


async def _quietly(close: Callable[[], object]) -> None:
    """Await a clean-up whose failure must not hide what we are doing."""
    try:
        result = close()
        if asyncio.iscoroutine(result):
            await result
    except Exception:  # what is closed may be broken in any way
        log.warning("closing failed", exc_info=True)
