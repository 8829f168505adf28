"""An agent of type acp: any program, told where its model is by its environment."""

from __future__ import annotations

import sys
from pathlib import Path

from app.domain.ports import Brief
from app.runtimes.acp_agent import AcpAgent
from tests.runtimes.conftest import Heard
from tests.runtimes.gateway_door import AGENT, Door, open_door
from tests.runtimes.host import HostSandbox
from tests.runtimes.test_codex import request

PROGRAM = (sys.executable, str(Path(__file__).with_name("small_agent.py")))
STORY = """
title: A small agent
agents:
  dev-agent:
    steps:
      - id: write
        when: {all: [{seen: {matches: "Write the file"}}, {seen: {matches: "You are dev-agent"}}]}
        say: I write it.
        run: "echo hello > hello.txt; cat hello.txt; exit 3"
      - {id: end, when: {exit: {of: write, status: 3}}, say: Written.}
      - {id: again, when: {seen: {matches: "And once more"}}, run: "cat hello.txt"}
      - {id: over, say: The end.}
"""


def runtime_in(sandbox: HostSandbox) -> AcpAgent:
    return AcpAgent(PROGRAM, home=str(sandbox.home), workspace=str(sandbox.workspace))


def brief(door: Door) -> Brief:
    return Brief(agent=AGENT, model=None, provider="rehearsal", agents_md="# You are dev-agent\n", gateway_url=door.url)


async def test_its_model_is_behind_the_gateway_and_its_orders_in_the_first_prompt(
    tmp_path: Path, sandbox: HostSandbox, heard: Heard
) -> None:
    async with open_door(tmp_path, STORY) as door:
        first = runtime_in(sandbox)
        await first.prepare(sandbox, brief(door))
        outcome = await first.run_turn(sandbox, request("Write the file"), heard)
        await first.close()
        second = runtime_in(sandbox)  # another engine: the conversation is loaded
        await second.prepare(sandbox, brief(door))
        resumed = request("Write the file", 1, outcome.session, resume=True)
        await second.run_turn(sandbox, resumed, Heard())
        await second.run_turn(sandbox, request("And once more", 2, outcome.session), heard)
        await second.close()
    write, again = heard.tools.values()
    assert (write.command, write.exit_status, write.output) == (
        "echo hello > hello.txt; cat hello.txt; exit 3",
        3,
        "hello\n",
    )
    assert (again.command, again.output) == ("cat hello.txt", "hello\n")
    assert [asked.command for asked in heard.asked] == [write.command, again.command]
    assert heard.words == "I write it.Written.The end." and len(heard.sessions) == 1


async def test_what_is_refused_does_not_run(tmp_path: Path, sandbox: HostSandbox, heard: Heard) -> None:
    heard.choose = "reject_once"
    async with open_door(tmp_path, STORY) as door:
        runtime = runtime_in(sandbox)
        await runtime.prepare(sandbox, brief(door))
        await runtime.run_turn(sandbox, request("Write the file"), heard)
        await runtime.close()
    assert list(sandbox.workspace.iterdir()) == []
