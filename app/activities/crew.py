"""The agents at work in this engine: each with its machine, its door of the gateway and its program.

Nothing here is the record of anything: after a crash a member is put together again from the order it is asked with.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from app.activities.terminals import open_terminal
from app.activities.workspaces import Workspaces
from app.config import Paths, Project, load_project, load_rules, prepare_project
from app.domain import events as ev
from app.domain import prompts
from app.domain.errors import SandboxError
from app.domain.fleet import AgentSpec
from app.domain.ports import AgentRuntime, Brief, Progress, Sandbox, SandboxHost, SandboxRequest
from app.domain.terminal import Terminal, TerminalWish
from app.gateway.door import DoorSpec, Provider, Rehearsal
from app.gateway.server import Gateway
from app.store.journal import Journal
from app.store.memory import MemoryFile
from app.workflows.steps import AgentOrder

log = logging.getLogger(__name__)

GATEWAY_URL = "http://127.0.0.1:8080"
"""The gateway as every machine sees it; the channel, not the address, tells who calls."""


@dataclass(slots=True)
class Member:
    """One agent at work."""

    order: AgentOrder
    project: Project
    spec: AgentSpec
    runtime: AgentRuntime
    memory: MemoryFile
    sandbox: Sandbox | None = None
    turn: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


Roster = dict[str, Member]
"""The members at work, by ``member_key``: written by the crew, read by the tool calls."""


def member_key(fleet: str, agent: str) -> str:
    """The key of an agent on this host, also of its door."""
    return f"{fleet}/{agent}"


def machine_name(fleet: str, agent: str) -> str:
    """The name of an agent's virtual machine."""
    return f"{fleet}.{agent}"


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
        make_runtime: Callable[[str], AgentRuntime],
    ) -> None:
        self._members = roster
        self._host = host
        self._gateway = gateway
        self._journal = journal
        self._memory = memory
        self._paths = paths
        self.workspaces = Workspaces(paths)
        self._make_runtime = make_runtime

    async def member(self, order: AgentOrder) -> Member:
        """The agent with its door open and its machine up; both are made or found again when they are not."""
        member = self._enlist(order)
        async with member.lock:
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
        member = await self.member(order)
        if fresh:
            await self.workspaces.seed(self._sandbox(member), member.project, member.spec)
        return member

    async def lost(self, member: Member) -> None:
        """The machine or its channel failed: the next ``member`` call opens it anew."""
        async with member.lock:
            sandbox, member.sandbox = member.sandbox, None
            if sandbox is not None:
                await _quietly(sandbox.close)

    async def release(self, order: AgentOrder) -> None:
        """End the agent's program, power its machine off, close its door. The disk stays."""
        key = member_key(order.fleet, order.agent)
        await self._let_go(key)
        await self._host.stop(machine_name(order.fleet, order.agent))
        await self._gateway.close_door(key)
        self._note_sandbox(order, "stopped", "powered off; the disk is kept", 0.0)

    async def terminal(self, wish: TerminalWish) -> Terminal:
        """A terminal for a person. Raises NotFound or SandboxError naming the machine's state and the remedy."""
        member = self._members.get(member_key(wish.fleet, wish.agent))
        state = await self._host.state(machine_name(wish.fleet, wish.agent))
        return await open_terminal(wish, None if member is None else member.sandbox, state)

    async def close(self) -> None:
        """Let go of all agents; their machines go on."""
        for key in list(self._members):
            member = self._members.pop(key)
            if member.sandbox is not None:
                await _quietly(member.sandbox.close)

    def _enlist(self, order: AgentOrder) -> Member:
        key = member_key(order.fleet, order.agent)
        member = self._members.get(key)
        if member is None or member.order.run != order.run:
            project = load_project(Path(order.project_file))
            prepare_project(project)
            spec = project.fleet.agent(order.agent)
            memory = MemoryFile(project.memory_file(spec), self._memory, fleet=order.fleet, agent=order.agent)
            member = Member(order, project, spec, self._make_runtime(spec.type), memory)
            self._members[key] = member
        return member

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
        sandbox = await self._host.ensure(self._request(member), self._progress(order))
        await member.runtime.prepare(sandbox, self._brief(member))
        member.sandbox = sandbox
        self._note_sandbox(order, "ready", sandbox.note, time.monotonic() - began)

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
        )

    def _progress(self, order: AgentOrder) -> Progress:
        def tell(words: str) -> None:
            log.info("%s: %s", machine_name(order.fleet, order.agent), words)
            self._note_sandbox(order, "starting", words, 0.0)

        return tell

    def _note_sandbox(self, order: AgentOrder, state: str, note: str, seconds: float) -> None:
        now = datetime.now(UTC)
        fact = ev.SandboxChanged.model_validate(
            {
                "id": f"{order.run}/{order.agent}/machine/{now.timestamp():.6f}/{state}",
                "at": now,
                "fleet": order.fleet,
                "run": order.run,
                "agent": order.agent,
                "state": state,
                "note": note,
                "seconds": round(seconds, 3),
            }
        )
        self._journal.append(fact)

    def _sandbox(self, member: Member) -> Sandbox:
        if member.sandbox is None:
            raise SandboxError(f"{member.spec.id} has no machine", operation="use the machine")
        return member.sandbox

    async def _let_go(self, key: str) -> None:
        member = self._members.pop(key, None)
        if member is None:
            return
        await _quietly(member.runtime.close)
        if member.sandbox is not None:
            await _quietly(member.sandbox.close)


def _upstream(member: Member) -> Rehearsal | Provider:
    if member.order.rehearsal:
        return Rehearsal(scenario=Path(member.order.rehearsal))
    name = member.spec.provider_name
    provider = member.project.fleet.provider_of(member.spec)
    return Provider(name=name, api=provider.api, base_url=provider.base_url, credential=provider.credential)


async def _quietly(close: Callable[[], object]) -> None:
    """Await a clean-up whose failure must not hide what we are doing."""
    try:
        result = close()
        if asyncio.iscoroutine(result):
            await result
    except Exception:  # what is closed may be broken in any way
        log.warning("closing failed", exc_info=True)
