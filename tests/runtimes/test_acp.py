"""AcpRuntime with a small program that speaks the protocol: what Codex cannot be made to do on demand."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.errors import JournalError, RuntimeFailure, SandboxError
from app.domain.forms import Field, FormAsked, Value
from app.domain.ports import Brief, PermissionAsked, PermissionGiven, Said, TurnRequest
from app.runtimes.acp import GO_ON, LOST, RESUMED, AcpRuntime
from tests.runtimes.conftest import Heard
from tests.runtimes.host import HostSandbox

BRIEF = Brief(agent="a", model=None, provider="none", agents_md="", gateway_url="http://127.0.0.1:8080")
PROGRAM = f"exec {sys.executable} {Path(__file__).with_name('scripted_agent.py')}"


def made(sandbox: HostSandbox, *words: str) -> AcpRuntime:
    return AcpRuntime(" ".join([PROGRAM, *words]), workspace=str(sandbox.workspace))


def request(prompt: str, session: str | None = None, *, resume: bool = False) -> TurnRequest:
    return TurnRequest(turn=1, prompt=prompt, session=session, resume=resume)


@pytest.fixture
async def runtime(sandbox: HostSandbox) -> AsyncIterator[AcpRuntime]:
    runtime = made(sandbox)
    await runtime.prepare(sandbox, BRIEF)
    yield runtime
    await runtime.close()


def told(sandbox: HostSandbox, session: str = "s1") -> list[str]:
    return (sandbox.workspace / f"{session}.session").read_text().splitlines()


async def test_words_come_in_order_and_the_session_stays_open(
    runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard
) -> None:
    first = await runtime.run_turn(sandbox, request("hello"), heard)
    second = await runtime.run_turn(sandbox, request("and?", first.session), heard)
    numbers = "".join(f"{number} " for number in range(20))
    assert heard.words == f"{numbers}got: hello{numbers}got: and?"
    assert "[x] think\n[ ] do" in heard.thoughts
    assert (first.input_tokens, first.output_tokens, first.stop_reason) == (7, 5, "end_turn")
    assert heard.sessions == ["s1"] and second.session == "s1"
    assert len(sandbox.processes) == 1
    assert (sandbox.workspace / "servers.txt").read_text() == "http://127.0.0.1:8080/mcp"


@pytest.mark.slow
async def test_a_prompt_is_never_a_command_of_the_program(
    runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard
) -> None:
    await runtime.run_turn(sandbox, request("/logout"), heard)
    assert told(sandbox) == ["Your prompt: /logout"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["allow_once", "reject_once", None])
async def test_permissions(runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard, kind: str | None) -> None:
    heard.choose = kind
    await runtime.run_turn(sandbox, request("ask"), heard)
    (asked,) = heard.asked
    assert (asked.title, asked.command) == ("Remove it", "rm 'a b'")
    assert asked.options == (("yes", "Yes", "allow_once"), ("no", "No", "reject_once"))
    assert heard.words == {"allow_once": "answer: yes", "reject_once": "answer: no", None: "answer: cancelled"}[kind]
    tool = heard.events.index(heard.tools["c1"])
    assert tool < heard.events.index(asked), "what came before the question is heard before it"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "last"), [("reject_once", "[skerry] refused: rule 1"), ("allow_once", "ask or stop")])
async def test_a_turn_that_ends_over_a_refusal_goes_on(
    runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard, kind: str, last: str
) -> None:
    heard.choose, heard.told = kind, "rule 1" if kind == "reject_once" else ""
    outcome = await runtime.run_turn(sandbox, request("ask or stop"), heard)
    assert (outcome.stop_reason, told(sandbox)[-1]) == ("end_turn", last)
    assert len(heard.asked) == 1


async def test_cancel(runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard) -> None:
    turn = asyncio.create_task(runtime.run_turn(sandbox, request("wait"), heard))
    async with asyncio.timeout(20):
        while heard.words != "waiting":  # noqa: ASYNC110  # it comes from another process
            await asyncio.sleep(0.01)
    with pytest.raises(RuntimeFailure, match="running already"):
        await runtime.run_turn(sandbox, request("hello"), heard)
    await runtime.cancel_turn()
    assert (await turn).stop_reason == "cancelled"


@pytest.mark.slow
async def test_cancel_before_the_prompt(runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard) -> None:
    turn = asyncio.create_task(runtime.run_turn(sandbox, request("hello"), heard))
    await asyncio.sleep(0)
    await runtime.cancel_turn()
    assert (await turn).stop_reason == "cancelled"
    assert told(sandbox) == [] and heard.words == ""


@pytest.mark.slow
async def test_a_dead_program_is_told_with_its_last_words_and_started_again(
    runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard
) -> None:
    with pytest.raises(RuntimeFailure, match=r"ended with status 7") as caught:
        await runtime.run_turn(sandbox, request("die"), heard)
    assert "the disk is full" in caught.value.hint and "at nowhere" not in caught.value.hint
    outcome = await runtime.run_turn(sandbox, request("hello", "s1"), heard)
    assert outcome.session == "s1"
    assert told(sandbox) == ["die", "hello"]


async def test_a_resumed_turn_is_gone_on_with_when_its_prompt_had_arrived(
    runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard
) -> None:
    (sandbox.workspace / "s1.session").write_text("before\nhello\n")
    await runtime.run_turn(sandbox, request("hello", "s1", resume=True), heard)
    assert told(sandbox)[2:] == [GO_ON]
    assert "an old answer" not in heard.words
    await runtime.run_turn(sandbox, request("hello", "s1", resume=True), heard)
    assert told(sandbox)[3:] == [GO_ON], "the line that takes it up is not taken for the prompt"
    await runtime.run_turn(sandbox, request("something else", "s1", resume=True), heard)
    assert told(sandbox)[4:] == ["something else"], "a prompt that had not arrived is given in full"


@pytest.mark.slow
async def test_a_session_that_is_gone_is_replaced_and_the_agent_told(
    runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard
) -> None:
    outcome = await runtime.run_turn(sandbox, request("hello", "s9", resume=True), heard)
    assert outcome.session == "s1" and heard.sessions == ["s1"]
    assert told(sandbox) == [LOST.replace("\n", " ") + "hello"]


@pytest.mark.slow
async def test_another_machine_gets_another_program(
    runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard, tmp_path: Path
) -> None:
    await runtime.run_turn(sandbox, request("hello"), heard)
    other = HostSandbox(tmp_path / "other", "other")
    other.workspace.rmdir()
    other.workspace.symlink_to(sandbox.workspace)
    await runtime.run_turn(other, request("hello", "s1"), heard)
    assert len(other.processes) == 1
    assert told(sandbox) == ["hello", "hello"]
    await runtime.close()
    await other.close()


async def test_a_refusal_names_its_reason(runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard) -> None:
    with pytest.raises(RuntimeFailure, match="refused for a turn: Internal error: not today"):
        await runtime.run_turn(sandbox, request("refuse"), heard)


@pytest.mark.slow
async def test_a_program_that_does_not_start(sandbox: HostSandbox, heard: Heard) -> None:
    runtime = made(sandbox, "mute")
    await runtime.prepare(sandbox, BRIEF)
    with pytest.raises(RuntimeFailure, match=r"ended with status 1 when it was asked to initialise") as caught:
        await runtime.run_turn(sandbox, request("hello"), heard)
    assert "no room in here" in caught.value.hint


@pytest.mark.slow
async def test_a_program_of_another_protocol(sandbox: HostSandbox, heard: Heard) -> None:
    runtime = made(sandbox, "future")
    await runtime.prepare(sandbox, BRIEF)
    with pytest.raises(RuntimeFailure, match="version 2"):
        await runtime.run_turn(sandbox, request("hello"), heard)


@pytest.mark.slow
async def test_a_lost_channel_is_the_sandboxs_failure(runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard) -> None:
    turn = asyncio.create_task(runtime.run_turn(sandbox, request("wait"), heard))
    async with asyncio.timeout(20):
        while heard.words != "waiting":  # noqa: ASYNC110  # it comes from another process
            await asyncio.sleep(0.01)
    sandbox.processes[-1].cut()
    with pytest.raises(SandboxError, match="channel to host was lost"):
        await turn


@pytest.mark.parametrize(
    ("values", "told"), [({"colour": "red"}, "accept: {'colour': 'red'}"), (None, "decline: None")]
)
async def test_a_form_is_filled_in(
    runtime: AcpRuntime, sandbox: HostSandbox, heard: Heard, values: dict[str, Value] | None, told: str
) -> None:
    heard.values = values
    await runtime.run_turn(sandbox, request("fill"), heard)
    assert heard.forms == [FormAsked("Which colour?", (Field("colour", "choice", "Colour", "", ("red", "blue")),))]
    assert heard.words == told


class _Deaf(Heard):
    async def said(self, said: Said) -> None:
        raise JournalError("the disk is full")

    async def permission(self, asked: PermissionAsked) -> PermissionGiven:
        return PermissionGiven(None)


@pytest.mark.slow
async def test_what_cannot_be_recorded_stops_the_turn(runtime: AcpRuntime, sandbox: HostSandbox) -> None:
    with pytest.raises(JournalError):
        await asyncio.wait_for(runtime.run_turn(sandbox, request("wait"), _Deaf()), 20)
    heard = Heard()
    outcome = await runtime.run_turn(sandbox, request("hello", "s1"), heard)
    assert outcome.stop_reason == "end_turn" and heard.words.endswith("got: hello")


async def test_an_unprepared_runtime_says_so(sandbox: HostSandbox, heard: Heard) -> None:
    with pytest.raises(RuntimeFailure, match="not prepared"):
        await made(sandbox).run_turn(sandbox, request("hello"), heard)


def test_the_rehearsal_knows_how_a_turn_is_taken_up() -> None:
    from app.gateway import conversation

    assert conversation.RESUMED == RESUMED and GO_ON.startswith(RESUMED)
