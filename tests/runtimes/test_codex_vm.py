"""The real Codex in a real virtual machine, cut off in the middle of a command."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.config import Paths
from app.domain.errors import SandboxError
from app.domain.ports import Brief, Sandbox, SandboxHost, SandboxRequest, TurnRequest
from app.engine.compose import make_host
from app.runtimes.codex import CodexRuntime
from tests.runtimes.conftest import Heard
from tests.runtimes.gateway_door import AGENT, Door, open_door

pytestmark = [pytest.mark.vm, pytest.mark.codex, pytest.mark.slow, pytest.mark.timeout(900)]

GATEWAY = "http://127.0.0.1:8080"
STORY = """
title: In a machine
agents:
  dev-agent:
    steps:
      - id: slow
        thought: This takes its time.
        run: "echo begun >> log.txt; sleep 8; echo ended >> log.txt; cat log.txt"
        recover: "echo recovered >> log.txt"
      - id: note
        calls: [{tool: memory_append, arguments: {heading: Notes, text: it is written}}]
      - id: end
        say: Done.
      - {id: next, when: {seen: {matches: "Second prompt"}}, run: "uname -n; exit 4"}
      - {id: over, say: Over.}
"""


@pytest.fixture
async def host(paths: Paths) -> AsyncIterator[SandboxHost]:
    host = make_host(paths)
    await host.start()
    yield host
    for name in await host.names():
        await host.destroy(name)
    await host.close()


async def prepared(sandbox: Sandbox) -> CodexRuntime:
    runtime = CodexRuntime()
    await runtime.prepare(sandbox, Brief(AGENT, None, "rehearsal", "# You are dev-agent\n", GATEWAY))
    return runtime


async def log_of(sandbox: Sandbox) -> str:
    return (await sandbox.run("cat log.txt 2> /dev/null", timeout=60)).output.decode()


async def test_a_cut_turn_is_gone_on_with(tmp_path: Path, host: SandboxHost) -> None:
    request = SandboxRequest("t.dev", "dev-agent", "base", ("codex",), 1, 1024, 8, tmp_path / "door")
    heard, after = Heard(), Heard()
    async with open_door(tmp_path, STORY) as door:
        sandbox = await host.ensure(request, logging.info)
        first = TurnRequest(1, "First prompt", None, resume=False)
        turn = asyncio.create_task((await prepared(sandbox)).run_turn(sandbox, first, heard))
        while await log_of(sandbox) != "begun\n":
            await asyncio.sleep(0.5)
            assert not turn.done() or turn.result()
        await sandbox.close()
        with pytest.raises(SandboxError):
            await turn
        # Another engine finds the machine, waits for the command, and takes the turn up.
        again = await host.ensure(request, logging.info)
        assert again.note == "adopted"
        heir = await prepared(again)
        (session,) = heard.sessions
        ended = await heir.run_turn(again, TurnRequest(1, "First prompt", session, resume=True), after)
        later = await heir.run_turn(again, TurnRequest(2, "Second prompt", session, resume=False), after)
        log = await log_of(again)
        await heir.close()
        await again.close()
    check(door, after, log)
    assert heard.thoughts == "This takes its time."
    assert (ended.session, later.session) == (session, session)


def check(door: Door, after: Heard, log: str) -> None:
    assert log.startswith("begun\nended\n") and log.count("begun") == 1, "no command ran twice"
    assert [name for name, _ in door.calls] == ["memory_append"]
    assert after.words == "Done.Over."
    last = list(after.tools.values())[-1]
    assert (last.output, last.exit_status, last.status) == ("dev-agent\n", 4, "failed")
