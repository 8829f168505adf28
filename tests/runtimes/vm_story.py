"""Codex in a virtual machine, cut off in the middle of a command: says as JSON what came of it. Run by test_codex_vm,
in a process of its own as a process can have one libvirt host only.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

from app.config import Paths
from app.domain.errors import SandboxError
from app.domain.machines import SandboxRequest
from app.domain.ports import Brief, Sandbox, SandboxHost, TurnOutcome, TurnRequest
from app.engine.compose import make_host
from app.runtimes.codex import CodexRuntime
from tests.runtimes.conftest import Heard
from tests.runtimes.gateway_door import AGENT, Door, open_door

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


async def main(folder: Path) -> dict[str, object]:
    paths = Paths.from_environment()
    paths.prepare()
    host = make_host(paths)
    await host.start()
    try:
        async with open_door(folder, STORY) as door:
            return await story(host, door, folder / "door")
    finally:
        for name in await host.names():
            await host.destroy(name)
        await host.close()


async def story(host: SandboxHost, door: Door, socket: Path) -> dict[str, object]:
    request = SandboxRequest("t.dev", "dev-agent", "base", ("codex",), 1, 1024, 8, socket)
    heard, after = Heard(), Heard()
    sandbox = await host.ensure(request, say)
    runtime = await prepared(sandbox)
    turn = asyncio.create_task(runtime.run_turn(sandbox, TurnRequest(1, "First prompt", None, resume=False), heard))
    while await log_of(sandbox) != "begun\n" and not turn.done():  # noqa: ASYNC110  # it is in the machine
        await asyncio.sleep(0.5)
    await sandbox.close()
    cut = type(await failure_of(turn)).__name__
    await runtime.close()
    # Another engine finds the machine, waits for the command, and takes the turn up.
    again = await host.ensure(request, say)
    heir = await prepared(again)
    session = heard.sessions[0]
    ended = await heir.run_turn(again, TurnRequest(1, "First prompt", session, resume=True), after)
    later = await heir.run_turn(again, TurnRequest(2, "Second prompt", session, resume=False), after)
    log = await log_of(again)
    await heir.close()
    await again.close()
    return {
        "cut": cut,
        "note": again.note,
        "log": log,
        "sessions": [*heard.sessions, ended.session, later.session, *after.sessions],
        "thoughts": heard.thoughts,
        "words": after.words,
        "last": dataclasses.asdict(list(after.tools.values())[-1]),
        "calls": [name for name, _ in door.calls],
    }


async def prepared(sandbox: Sandbox) -> CodexRuntime:
    runtime = CodexRuntime()
    brief = Brief(AGENT, None, "rehearsal", "# You are dev-agent\n", "http://127.0.0.1:8080")
    await runtime.prepare(sandbox, brief)
    return runtime


async def log_of(sandbox: Sandbox) -> str:
    return (await sandbox.run("cat log.txt 2> /dev/null", timeout=60)).output.decode()


async def failure_of(turn: asyncio.Task[TurnOutcome]) -> Exception | None:
    try:
        await turn
    except SandboxError as error:
        return error
    return None


def say(words: str) -> None:
    print(words, file=sys.stderr)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
