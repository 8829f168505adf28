"""A team of API loops: the real SDKs and gateway, a scripted model, and machines made of dictionaries."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.machines import CommandResult, Notify, SandboxRequest, unheard
from app.domain.ports import Progress, Sandbox
from app.runtimes.factory import make_runtime
from app.testing import FakeSandbox, FakeSandboxHost, succeeded
from tests.team import Team, Turn

PROJECT = """
project: {{name: loops}}
providers:
  local: {{api: openai-chat, base_url: "http://127.0.0.1:9/v1"}}
agents:
  - id: alice
    type: {kind}
    {extra}
    initial_instructions: Begin.
    limits: {{{limits}}}
"""
SCENARIO = """
title: Loops
think_seconds: 0
agents:
  alice:
    troubles: {troubles}
    steps:
{steps}
"""
APIS = {"openai": "", "anthropic": "", "openai-chat": "provider: local"}
WORK = """
      - id: look
        thought: I look around first.
        say: I look around.
        run: ls
      - id: note
        when: {exit: {of: look, status: 0}}
        calls:
          - {tool: memory_append, arguments: {text: It is empty.}}
          - {tool: write_file, arguments: {path: hello.txt, content: "one\\ntwo\\n"}}
      - id: change
        calls:
          - {tool: edit_file, arguments: {path: /workspace/hello.txt, old: two, new: three}}
      - id: again
        calls:
          - {tool: read_file, arguments: {path: hello.txt}}
      - id: end
        when: {output: {of: again, matches: three}}
        calls:
          - {tool: finish, arguments: {summary: All done.}}
"""


def answering(command: str) -> CommandResult:
    """A machine in which ``fail …`` fails."""
    return succeeded("nothing\n", exit_status=3) if command.startswith("fail") else succeeded(f"did {command}\n")


def loop_team(
    paths: Paths,
    temporal: Client,
    folder: Path,
    api: str,
    *,
    steps: str = WORK,
    troubles: str = "[]",
    limits: str = "stall: 1h",
    host: FakeSandboxHost | None = None,
    **more: Any,
) -> Team:
    """Alice over one of APIS, with a scenario of these steps and troubles."""

    async def unused(turn: Turn) -> None:
        raise AssertionError("no script takes a turn here")

    scenario = folder / "loops.yaml"
    scenario.write_text(SCENARIO.format(troubles=troubles, steps=steps))
    kind = "openai" if api == "openai-chat" else api
    return Team(
        paths,
        temporal,
        unused,
        host=host or FakeSandboxHost(answering),
        text=PROJECT.format(kind=kind, extra=APIS[api], limits=limits),
        runtimes=make_runtime,
        rehearsal=str(scenario),
        **more,
    )


def commands(team: Team) -> list[str]:
    """What ran in alice's machine."""
    return team.host.machines[f"{team.fleet}.alice"].commands


def said(team: Team, *, thought: bool = False) -> str:
    """All words of alice."""
    return "".join(fact.text for fact in team.facts(ev.AgentSaid) if fact.thought == thought)


def ended(team: Team) -> dict[str, ev.ToolEnded]:
    """What came of her calls, by their ids."""
    return {fact.call_id: fact for fact in team.facts(ev.ToolEnded)}


class GatedSandbox(FakeSandbox):
    """Commands that begin with ``wait`` end when the gate opens, or when they are cancelled."""

    def __init__(self, name: str, gate: asyncio.Event) -> None:
        super().__init__(name, answering)
        self._gate = gate
        self.begun: list[str] = []
        self.cancelled: list[str] = []

    async def run(self, command: str, **more: Any) -> CommandResult:
        """The command's answer, when it may end."""
        self.begun.append(command)
        if command.startswith("wait"):
            try:
                await self._gate.wait()
            except asyncio.CancelledError:
                self.cancelled.append(command)
                raise
        return await super().run(command, **more)


class GatedHost(FakeSandboxHost):
    """One machine, with a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.machine: GatedSandbox | None = None

    async def ensure(self, request: SandboxRequest, progress: Progress, notify: Notify = unheard) -> Sandbox:
        """The machine, made when missing."""
        await super().ensure(request, progress, notify)
        if self.machine is None or request.name not in self.machines:
            self.machine = GatedSandbox(request.name, self.gate)
        self.machines[request.name] = self.machine
        return self.machine
