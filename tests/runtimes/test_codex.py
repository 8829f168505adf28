"""The real Codex behind its real adapter, on this host, with the rehearsal as its model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.errors import RuntimeFailure
from app.domain.ports import Brief, TurnRequest
from app.runtimes.codex import CodexRuntime
from tests.runtimes.conftest import Heard
from tests.runtimes.gateway_door import AGENT, Door, open_door
from tests.runtimes.host import HostSandbox

pytestmark = pytest.mark.codex

STORY = """
title: A short story
agents:
  dev-agent:
    steps:
      - id: greet
        when: {seen: {matches: "Write the file"}}
        thought: Easy enough.
        say: I write it.
        run: |-
          echo "hello from $PWD" > hello.txt; cat hello.txt; echo oops >&2; exit 3
      - id: note
        when: {exit: {of: greet, status: 3}}
        calls: [{tool: memory_append, arguments: {heading: Notes, text: it is written}}]
      - id: end
        say: Written.
      - id: again
        when: {seen: {matches: "And once more"}}
        run: cat hello.txt
      - id: over
        say: The end.
"""

SLOW = """
title: A slow command
agents:
  dev-agent:
    steps:
      - id: slow
        run: "echo begun >> log.txt; sleep %s; echo ended >> log.txt"
        recover: "echo recovered >> log.txt"
      - id: end
        say: Done.
      - id: next
        when: {seen: {matches: "Second prompt"}}
        run: "echo second >> log.txt"
      - id: over
        say: Over.
"""


def brief(door: Door) -> Brief:
    return Brief(agent=AGENT, model=None, provider="rehearsal", agents_md="# You are dev-agent\n", gateway_url=door.url)


def runtime_in(sandbox: HostSandbox, pack: Path, **more: str) -> CodexRuntime:
    return CodexRuntime(home=str(sandbox.home), workspace=str(sandbox.workspace), pack=str(pack), **more)


def request(prompt: str, turn: int = 1, session: str | None = None, *, resume: bool = False) -> TurnRequest:
    return TurnRequest(turn=turn, prompt=prompt, session=session, resume=resume)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what we wait for is in another process
            await asyncio.sleep(0.02)


def text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def test_a_turn_runs_a_command_and_a_tool(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, codex_pack)
    async with open_door(tmp_path, STORY) as door:
        await runtime.prepare(sandbox, brief(door))
        first = await runtime.run_turn(sandbox, request("Write the file"), heard)
        second = await runtime.run_turn(sandbox, request("And once more", 2, first.session), heard)
        await runtime.close()
    command, tool, again = heard.tools.values()
    assert (sandbox.workspace / "hello.txt").read_text() == f"hello from {sandbox.workspace}\n"
    assert (command.status, command.exit_status) == ("failed", 3)
    assert "hello from" in command.output and "oops" in command.output
    assert "cat hello.txt" in command.command
    assert (tool.status, tool.exit_status) == ("completed", None)
    assert tool.title.startswith("skerry: memory_append")
    assert "memory_append: done" in tool.output
    assert (again.exit_status, again.output) == (0, f"hello from {sandbox.workspace}\n")
    assert heard.words == "I write it.Written.The end."
    assert heard.thoughts == "Easy enough."
    assert (first.stop_reason, second.stop_reason) == ("end_turn", "end_turn")
    assert heard.sessions == [first.session] and second.session == first.session
    assert first.input_tokens > first.output_tokens > 0
    assert [name for name, _ in door.calls] == ["memory_append"]
    # no more requests than the steps need: nothing for titles or suggestions
    assert [used.model for used in door.requests] == ["rehearsal"] * 5
    assert len(sandbox.processes) == 1


async def test_what_a_crash_cut_is_gone_on_with(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, codex_pack)
    log = sandbox.workspace / "log.txt"
    async with open_door(tmp_path, SLOW % "1.5") as door:
        await runtime.prepare(sandbox, brief(door))
        turn = asyncio.create_task(runtime.run_turn(sandbox, request("First prompt"), heard))
        await until(lambda: text_of(log) == "begun\n" and len(heard.tools) == 1)
        sandbox.processes[-1].kill()
        with pytest.raises(RuntimeFailure, match="ended with status -9"):
            await turn
        # Another engine takes over: a runtime that knows nothing but the session's id.
        heir = runtime_in(sandbox, codex_pack)
        await heir.prepare(sandbox, brief(door))
        after = Heard()
        session = heard.sessions[0]
        ended = await heir.run_turn(sandbox, request("First prompt", 1, session, resume=True), after)
        later = await heir.run_turn(sandbox, request("Second prompt", 2, session), after)
        await heir.close()
        await runtime.close()
    # The command died with the program that had started it, and was not run again.
    assert log.read_text() == "begun\nrecovered\nsecond\n"
    assert (ended.session, later.session, after.sessions) == (session, session, [])
    assert after.words == "Done.Over."
    assert len(after.tools) == 2, "what was replayed is no news"


async def test_a_session_is_taken_up_between_turns(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    async with open_door(tmp_path, STORY) as door:
        for turn, prompt in enumerate(("Write the file", "And once more"), start=1):
            runtime = runtime_in(sandbox, codex_pack)
            await runtime.prepare(sandbox, brief(door))
            session = heard.sessions[0] if heard.sessions else None
            await runtime.run_turn(sandbox, request(prompt, turn, session), heard)
            await runtime.close()
    assert heard.words == "I write it.Written.The end."
    assert len(heard.sessions) == 1
    assert [used.model for used in door.requests] == ["rehearsal"] * 5


async def test_an_unknown_session_begins_anew(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, codex_pack)
    unknown = "01a2052b-205b-7d31-af74-cdd7940f16ff"
    async with open_door(tmp_path, STORY) as door:
        await runtime.prepare(sandbox, brief(door))
        outcome = await runtime.run_turn(sandbox, request("Write the file", 1, unknown, resume=True), heard)
        await runtime.close()
    assert outcome.stop_reason == "end_turn"
    assert heard.sessions == [outcome.session] != [unknown]
    assert heard.words == "I write it.Written."


async def test_a_cancelled_turn_stops_and_the_next_one_runs(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, codex_pack)
    log = sandbox.workspace / "log.txt"
    async with open_door(tmp_path, SLOW % "300") as door:
        await runtime.prepare(sandbox, brief(door))
        turn = asyncio.create_task(runtime.run_turn(sandbox, request("First prompt"), heard))
        await until(lambda: text_of(log) == "begun\n")
        await runtime.cancel_turn()
        outcome = await asyncio.wait_for(turn, 20)
        assert outcome.stop_reason == "cancelled"
        after = await runtime.run_turn(sandbox, request("Second prompt", 2, outcome.session), heard)
        await runtime.close()
    assert after.stop_reason == "end_turn"
    assert len(heard.sessions) == 1, "the conversation goes on"
    assert "ended" not in log.read_text()


async def test_without_its_gateway_no_session_is_opened(sandbox: HostSandbox, codex_pack: Path, heard: Heard) -> None:
    runtime = runtime_in(sandbox, codex_pack)
    nowhere = Brief(agent=AGENT, model=None, provider="rehearsal", agents_md="", gateway_url="http://127.0.0.1:9")
    await runtime.prepare(sandbox, nowhere)
    with pytest.raises(RuntimeFailure, match=r"refused to open a session.*skerry"):
        await runtime.run_turn(sandbox, request("Write the file"), heard)
    await runtime.close()
    assert heard.events == []


async def test_a_turn_the_model_refuses_has_failed(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, codex_pack)
    async with open_door(tmp_path, STORY) as door:
        # A provider's API that the rehearsal does not have, and so answers with a status of its own.
        wrong = Brief(AGENT, None, "rehearsal", "", door.url)
        await runtime.prepare(sandbox, wrong)
        config = sandbox.home / ".codex" / "config.toml"
        config.write_text(config.read_text().replace("stream_max_retries = 100", "stream_max_retries = 0"))
        config.write_text(config.read_text().replace("/openai/v1", "/openai/v1/nothing"))
        with pytest.raises(RuntimeFailure, match=r"Codex could not finish its turn: .*404"):
            await runtime.run_turn(sandbox, request("Write the file"), heard)
        await runtime.close()
    assert heard.words == ""


async def test_instructions_reach_the_model_and_the_workspace_stays_clean(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, codex_pack)
    scenario = """
title: Rules
agents:
  dev-agent:
    steps:
      - {id: seen, when: {seen: {matches: "Never push on Fridays"}}, say: I know my rules.}
"""
    async with open_door(tmp_path, scenario) as door:
        await runtime.prepare(sandbox, Brief(AGENT, None, "rehearsal", "Never push on Fridays.\n", door.url))
        await runtime.run_turn(sandbox, request("Begin"), heard)
        await runtime.close()
    sessions = list((sandbox.home / ".codex" / "sessions").rglob("*.jsonl"))
    assert any("Never push on Fridays" in file.read_text() for file in sessions)
    assert list(sandbox.workspace.iterdir()) == []


HARMLESS = ("pwd", "ls", "git --version", "cat /dev/null", "true && echo a", "echo b > b.txt")


async def test_it_asks_before_every_command(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    """Also before those that it takes for harmless: the rules may not."""
    steps = "".join(f'      - {{id: s{number}, run: "{command}"}}\n' for number, command in enumerate(HARMLESS))
    scenario = f"title: T\nagents:\n  dev-agent:\n    steps:\n{steps}      - {{id: end, say: Done.}}\n"
    runtime = runtime_in(sandbox, codex_pack)
    async with open_door(tmp_path, scenario) as door:
        await runtime.prepare(sandbox, brief(door))
        await runtime.run_turn(sandbox, request("Begin"), heard)
        await runtime.close()
    assert tuple(asked.command for asked in heard.asked) == HARMLESS
    assert {asked.folder for asked in heard.asked} == {str(sandbox.workspace)}
    assert {asked.kind for asked in heard.asked} == {"execute"}
    assert heard.words == "Done." and text_of(sandbox.workspace / "b.txt") == "b\n"


async def test_what_is_refused_does_not_run_and_the_turn_goes_on(
    tmp_path: Path, sandbox: HostSandbox, codex_pack: Path, heard: Heard
) -> None:
    scenario = """
title: Refused
agents:
  dev-agent:
    waiting: Nobody told me why.
    steps:
      - {id: try, run: "touch made.txt"}
      - {id: told, when: {seen: {matches: "refused: because of a rule", by: prompts}}, say: I see.}
"""
    runtime = runtime_in(sandbox, codex_pack)
    heard.choose, heard.told = "reject_once", "because of a rule"
    async with open_door(tmp_path, scenario) as door:
        await runtime.prepare(sandbox, brief(door))
        outcome = await runtime.run_turn(sandbox, request("Begin"), heard)
        await runtime.close()
    assert (outcome.stop_reason, heard.words) == ("end_turn", "I see.")
    assert list(sandbox.workspace.iterdir()) == []
    assert outcome.input_tokens > 2 * outcome.output_tokens > 0
