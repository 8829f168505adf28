"""The real Claude Code behind its real adapter, on this host, with the rehearsal as its model."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.errors import RuntimeFailure
from app.domain.ports import Brief, PermissionAsked
from app.runtimes.claude_code import ClaudeCodeRuntime
from tests.runtimes.conftest import Heard
from tests.runtimes.gateway_door import AGENT, open_door
from tests.runtimes.host import HostSandbox
from tests.runtimes.test_codex import HARMLESS, SLOW, STORY, brief, request, text_of, until

pytestmark = pytest.mark.claude


def runtime_in(sandbox: HostSandbox, pack: Path) -> ClaudeCodeRuntime:
    return ClaudeCodeRuntime(home=str(sandbox.home), workspace=str(sandbox.workspace), pack=str(pack))


async def test_a_turn_runs_a_command_and_a_tool(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, claude_pack)
    async with open_door(tmp_path, STORY) as door:
        await runtime.prepare(sandbox, brief(door))
        first = await runtime.run_turn(sandbox, request("Write the file"), heard)
        second = await runtime.run_turn(sandbox, request("And once more", 2, first.session), heard)
        await runtime.close()
    command, tool, again = heard.tools.values()
    assert (sandbox.workspace / "hello.txt").read_text() == f"hello from {sandbox.workspace}\n"
    assert (command.status, command.exit_status) == ("failed", 3)
    assert command.output == f"hello from {sandbox.workspace}\noops"
    assert "cat hello.txt" in command.command
    assert (tool.status, tool.exit_status) == ("completed", None)
    assert tool.title == 'skerry: memory_append {"heading": "Notes", "text": "it is written"}'
    assert "memory_append: done" in tool.output
    assert (again.exit_status, again.output) == (0, f"hello from {sandbox.workspace}")
    assert heard.words == "I write it.Written.The end."
    assert heard.thoughts == "Easy enough."
    assert (first.stop_reason, second.stop_reason) == ("end_turn", "end_turn")
    assert heard.sessions == [first.session] and second.session == first.session
    assert first.input_tokens > first.output_tokens > 0
    assert [name for name, _ in door.calls] == ["memory_append"]
    # no more requests than the steps need: nothing for titles or checks of the account
    assert [used.model for used in door.requests] == ["rehearsal"] * 5
    assert len(sandbox.processes) == 1


async def test_what_a_crash_cut_is_gone_on_with(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, claude_pack)
    log = sandbox.workspace / "log.txt"
    async with open_door(tmp_path, SLOW % "1.5") as door:
        await runtime.prepare(sandbox, brief(door))
        turn = asyncio.create_task(runtime.run_turn(sandbox, request("First prompt"), heard))
        await until(lambda: text_of(log) == "begun\n" and len(heard.tools) == 1)
        sandbox.processes[-1].kill()
        with pytest.raises(RuntimeFailure, match="ended with status -9"):
            await turn
        # Another engine takes over: a runtime that knows nothing but the session's id.
        heir = runtime_in(sandbox, claude_pack)
        await heir.prepare(sandbox, brief(door))
        after = Heard()
        session = heard.sessions[0]
        # It writes its conversation down every now and then: what had begun is known from our record only.
        began = tuple((call.call_id, call.command) for call in heard.tools.values())
        again = replace(request("First prompt", 1, session, resume=True), under_way=began)
        ended = await heir.run_turn(sandbox, again, after)
        later = await heir.run_turn(sandbox, request("Second prompt", 2, session), after)
        await heir.close()
        await runtime.close()
    assert log.read_text().replace("ended\n", "") == "begun\nrecovered\nsecond\n", "what had begun did so once"
    assert (ended.session, later.session, after.sessions) == (session, session, [])
    assert after.words == "Done.Over."
    assert len(after.tools) == 2, "what was replayed is no news"


async def test_a_session_is_taken_up_between_turns(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
) -> None:
    async with open_door(tmp_path, STORY) as door:
        for turn, prompt in enumerate(("Write the file", "And once more"), start=1):
            runtime = runtime_in(sandbox, claude_pack)
            await runtime.prepare(sandbox, brief(door))
            session = heard.sessions[0] if heard.sessions else None
            await runtime.run_turn(sandbox, request(prompt, turn, session), heard)
            await runtime.close()
    assert heard.words == "I write it.Written.The end."
    assert len(heard.sessions) == 1
    # One more than the steps need: the program looks whether its model is there when it loads a conversation.
    assert len(door.requests) == 6 and min(used.output_tokens for used in door.requests) < 30


async def test_an_unknown_session_begins_anew(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, claude_pack)
    unknown = "01a2052b-205b-7d31-af74-cdd7940f16ff"
    async with open_door(tmp_path, STORY) as door:
        await runtime.prepare(sandbox, brief(door))
        outcome = await runtime.run_turn(sandbox, request("Write the file", 1, unknown, resume=True), heard)
        await runtime.close()
    assert outcome.stop_reason == "end_turn"
    assert heard.sessions == [outcome.session] != [unknown]
    assert heard.words == "I write it.Written."


async def test_a_cancelled_turn_stops_and_the_next_one_runs(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, claude_pack)
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


async def test_instructions_reach_the_model_and_the_workspace_stays_clean(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
) -> None:
    runtime = runtime_in(sandbox, claude_pack)
    scenario = """
title: Rules
agents:
  dev-agent:
    steps:
      - {id: seen, when: {seen: {matches: "Begin"}}, say: I begin.}
"""
    async with open_door(tmp_path, scenario) as door:
        await runtime.prepare(sandbox, Brief(AGENT, None, "rehearsal", "Never push on Fridays.\n", door.url))
        await runtime.run_turn(sandbox, request("Begin"), heard)
        await runtime.close()
    assert (sandbox.home / ".claude" / "CLAUDE.md").read_text() == "Never push on Fridays.\n"
    assert list(sandbox.workspace.iterdir()) == []


async def test_it_asks_before_every_command(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
) -> None:
    """Also before those that it takes for harmless: the rules may not."""
    steps = "".join(f'      - {{id: s{number}, run: "{command}"}}\n' for number, command in enumerate(HARMLESS))
    scenario = f"title: T\nagents:\n  dev-agent:\n    steps:\n{steps}      - {{id: end, say: Done.}}\n"
    runtime = runtime_in(sandbox, claude_pack)
    async with open_door(tmp_path, scenario) as door:
        await runtime.prepare(sandbox, brief(door))
        await runtime.run_turn(sandbox, request("Begin"), heard)
        await runtime.close()
    assert tuple(asked.command for asked in heard.asked) == HARMLESS
    assert {asked.kind for asked in heard.asked} == {"execute"}
    assert heard.words == "Done." and text_of(sandbox.workspace / "b.txt") == "b\n"
    assert all(kinds_of(asked) == {"allow_once", "reject_once"} for asked in heard.asked), "what is for always is ours"


def kinds_of(asked: PermissionAsked) -> set[str]:
    return {kind for _, _, kind in asked.options}


async def test_its_own_questions_are_forms(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
) -> None:
    scenario = """
title: Asked
agents:
  dev-agent:
    steps:
      - id: ask
        calls:
          - tool: AskUserQuestion
            arguments:
              questions:
                - question: Which colour is it to be?
                  header: Colour
                  multiSelect: false
                  options: [{label: Red, description: warm}, {label: Blue, description: cold}]
      - {id: end, when: {output: {of: ask, matches: Red}}, say: Painted red.}
"""
    runtime = runtime_in(sandbox, claude_pack)
    heard.values = {"question_0": "Red"}
    async with open_door(tmp_path, scenario) as door:
        await runtime.prepare(sandbox, brief(door))
        await runtime.run_turn(sandbox, request("Begin"), heard)
        await runtime.close()
    (form,) = heard.forms
    assert form.message == "Which colour is it to be?" and form.questions[0].options == ("Red", "Blue")
    assert heard.words == "Painted red."


async def test_what_is_refused_does_not_run_and_the_turn_goes_on(
    tmp_path: Path, sandbox: HostSandbox, claude_pack: Path, heard: Heard
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
    runtime = runtime_in(sandbox, claude_pack)
    heard.choose, heard.told = "reject_once", "because of a rule"
    async with open_door(tmp_path, scenario) as door:
        await runtime.prepare(sandbox, brief(door))
        outcome = await runtime.run_turn(sandbox, request("Begin"), heard)
        await runtime.close()
    assert outcome.stop_reason == "end_turn" and heard.words.endswith("I see.")
    assert list(sandbox.workspace.iterdir()) == []
    assert outcome.input_tokens > 2 * outcome.output_tokens > 0
