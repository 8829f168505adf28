"""Models that refuse, break off, ramble or call what is not there; each over every API."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.board import Board
from app.domain.events import AgentStatus
from app.domain.loops import MAX_BAD, MAX_CUTS
from app.gateway.bad_answers import CUT, NO_TOOL, REFUSAL
from app.runtimes.api_loop import ApiLoop
from tests.team import Team, read
from tests.workflows.looping import APIS, commands, ended, loop_team, said

every_api = pytest.mark.parametrize("api", APIS)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApiLoop, "pause_seconds", 0.01)


async def completed(team: Team) -> Board:
    await team.start()
    board = await team.until(lambda board: board.outcome != "")
    assert board.outcome == "completed", board.agents["alice"].reason
    return board


def statuses(team: Team) -> list[int]:
    return [fact.status for fact in team.facts(ev.ModelCalled)]


@every_api
async def test_half_a_stream_is_asked_for_again(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    async with loop_team(paths, temporal, tmp_path, api, troubles="[{at: note, does: half, times: 2}]") as team:
        await completed(team)
        assert statuses(team) == [200, 502, 502, *[200] * 5]
        assert commands(team) == ["ls"], "nothing ran twice"


@every_api
async def test_malformed_arguments_are_told_to_the_model(
    paths: Paths, temporal: Client, tmp_path: Path, api: str
) -> None:
    async with loop_team(paths, temporal, tmp_path, api, troubles="[{at: change, does: malformed, times: 2}]") as team:
        await completed(team)
        wrong = [fact for call, fact in ended(team).items() if call.startswith("wrong_")]
        assert len(wrong) == 2 and {fact.status for fact in wrong} == {"failed"}
        assert all("no JSON object" in fact.output and "half a no" in fact.output for fact in wrong)


@every_api
async def test_an_unknown_tool_is_told_to_the_model(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    async with loop_team(paths, temporal, tmp_path, api, troubles="[{at: note, does: unknown_tool}]") as team:
        await completed(team)
        wrong = [fact for call, fact in ended(team).items() if call.startswith("wrong_")]
        assert len(wrong) == 2, "each call of that answer was answered"
        assert all(f"no tool '{NO_TOOL}'" in fact.output and "run_command" in fact.output for fact in wrong)


async def test_wrong_calls_without_end_fail_the_agent(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async with loop_team(
        paths, temporal, tmp_path, "openai", troubles="[{at: note, does: malformed, times: 50}]"
    ) as team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.FAILED)
        assert f"{MAX_BAD} replies in a row" in board.agents["alice"].reason
        assert len(statuses(team)) == 1 + MAX_BAD


@every_api
async def test_an_answer_that_was_cut_goes_on(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    async with loop_team(paths, temporal, tmp_path, api, troubles="[{at: note, does: length, times: 2}]") as team:
        await completed(team)
        assert said(team).count(CUT) == 2
        assert not [call for call in ended(team) if call.startswith("wrong_")], "a call that was cut is not carried out"


async def test_an_agent_that_cannot_be_brief_ends_its_turn(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async with loop_team(
        paths, temporal, tmp_path, "anthropic", troubles="[{at: note, does: length, times: 50}]"
    ) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["max_tokens"]
        assert len(statuses(team)) == 1 + MAX_CUTS


@every_api
async def test_a_refusal_ends_the_turn(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    async with loop_team(paths, temporal, tmp_path, api, troubles="[{at: note, does: refusal}]") as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["refusal"]
        assert REFUSAL in said(team)
        await team.control.send(team.fleet, "alice", "Please do.")
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed", "what it refused does not stand in the way of the next turn"


@every_api
async def test_a_conversation_that_is_too_long_is_summed_up(
    paths: Paths, temporal: Client, tmp_path: Path, api: str
) -> None:
    async with loop_team(paths, temporal, tmp_path, api, troubles="[{at: change, does: overflow}]") as team:
        await completed(team)
        (fact,) = team.facts(ev.ConversationCondensed)
        assert fact.summary == "[rehearsal] done: look, note"
        memory = read(team.project.memory_file(team.project.fleet.agent("alice")))
        assert "Summary of the conversation" in memory and "[rehearsal] done: look, note" in memory
        assert commands(team) == ["ls"], "it went on from the summary, and did nothing again"
        assert statuses(team).count(400) == 1


async def test_one_that_stays_too_long_fails_the_agent(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async with loop_team(
        paths, temporal, tmp_path, "openai", troubles="[{at: change, does: overflow, times: 50}]"
    ) as team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.FAILED)
        assert "stays too long" in board.agents["alice"].reason
        assert len(team.facts(ev.ConversationCondensed)) == 3


@every_api
async def test_a_rate_is_waited_for(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    troubles = "[{at: note, status: 429, retry_after: 0.2, times: 2}]"
    async with loop_team(paths, temporal, tmp_path, api, troubles=troubles) as team:
        await completed(team)
        assert statuses(team) == [200, 429, 429, *[200] * 5]
        assert AgentStatus.WAITING not in [fact.state for fact in team.facts(ev.AgentMoved)]


@every_api
async def test_a_usage_limit_holds_the_agent(paths: Paths, temporal: Client, tmp_path: Path, api: str) -> None:
    troubles = "[{at: note, status: 429, resets_in: 1.5}]"
    async with loop_team(paths, temporal, tmp_path, api, troubles=troubles) as team:
        await completed(team)
        waits = [fact.reason for fact in team.facts(ev.AgentMoved) if fact.state is AgentStatus.WAITING]
        assert len(waits) == 1 and waits[0].startswith("usage limit until ")
        assert [fact.turn for fact in team.facts(ev.TurnStarted)] == [1], "the same turn went on"
        assert commands(team) == ["ls"] and statuses(team).count(200) == 6


@every_api
async def test_a_provider_that_is_down_is_waited_for(
    paths: Paths, temporal: Client, tmp_path: Path, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loop_team(paths, temporal, tmp_path, api, troubles="[{at: note, status: 503, times: 4}]") as team:
        await completed(team)
        waits = [fact.reason for fact in team.facts(ev.AgentMoved) if fact.state is AgentStatus.WAITING]
        assert waits == ["model provider down"]
        assert commands(team) == ["ls"] and statuses(team).count(200) == 6


async def test_tokens_are_those_the_model_tells(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    steps = """
      - id: end
        usage: {input: 900, output: 40, cached: 700}
        calls: [{tool: finish, arguments: {summary: Done.}}]
"""
    for api in APIS:
        folder = tmp_path / api
        folder.mkdir()
        async with loop_team(paths, temporal, folder, api, steps=steps) as team:
            await completed(team)
            run = team.journal.newest_runs()[-1].run
            first = next(fact for fact in team.facts(ev.ModelCalled) if fact.run == run)
            assert (first.input_tokens, first.output_tokens, first.cached_tokens) == (900, 40, 700), api


async def test_a_budget_is_kept(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async with loop_team(paths, temporal, tmp_path, "openai", limits="tokens: 3000") as team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        assert board.agents["alice"].reason.startswith("limit: ")
        assert board.open_interrupts
