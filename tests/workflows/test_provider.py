"""A model provider that serves no more, or is not there: the agent waits, goes on by itself, and has no turn twice."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.client import Client

from app.config import Paths
from app.domain import events as ev
from app.domain.board import Board
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, InterruptKind, InterruptState
from app.domain.limits import TRY_NOW
from app.workflows import limits as pace
from tests.team import Team, Turn
from tests.workflows.asking import PROJECT, ask, scenario


def team_of(paths: Paths, temporal: Client, folder: Path, troubles: str, limits: str = "", tries: int = 8) -> Team:
    """Alice asks her model once a turn, as often as a program does before it gives up, and finishes with its answer."""

    async def script(turn: Turn) -> None:
        for number in range(tries):
            try:
                await ask(paths, team.fleet, turn)
                break
            except Exception as error:
                if " 400: " in str(error) or number == tries - 1:
                    raise
        await turn.call("finish", summary="done")

    text = PROJECT.format(limits=limits or "stall: 1h")
    team = Team(paths, temporal, script, text=text, rehearsal=scenario(folder, troubles))
    return team


def reasons(team: Team) -> list[str]:
    return [fact.reason for fact in team.facts(ev.AgentMoved) if fact.state is AgentStatus.WAITING]


async def test_a_usage_limit_is_waited_for(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    troubles = "[{at: hello, status: 429, times: 2, resets_in: 1.5}]"
    async with team_of(paths, temporal, tmp_path, troubles) as team:
        await team.start()
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert reasons(team) and all(reason.startswith("usage limit until ") for reason in reasons(team))
        assert [fact.status for fact in team.facts(ev.ModelCalled)] == [429, 429, 200]
        assert [fact.turn for fact in team.facts(ev.TurnStarted)] == [1], "no turn is given twice"
        assert [fact.turn for fact in team.facts(ev.TurnResumed)] == [1, 1]
        assert not board.interrupts, "nobody is asked about what passes by itself"
        first, second = team.facts(ev.ModelTrouble)
        again = team.facts(ev.ModelCalled)[1]
        assert again.at >= first.until and second.until - second.at == timedelta(seconds=1.5)


async def test_a_usage_limit_that_comes_back_is_asked_about(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    troubles = "[{at: hello, status: 429, times: 3, resets_in: 0.5}]"
    async with team_of(paths, temporal, tmp_path, troubles, "usage_limit_resumes: 1") as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert (asked.kind, asked.about) == (InterruptKind.DEBUG_REQUEST, "usage_limit")
        assert "went on by itself 1 times" in asked.body
        await team.control.answer(team.fleet, asked.id, Answer(option=TRY_NOW))
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert len(team.facts(ev.TurnStarted)) == 1


async def test_a_limit_without_an_end_is_asked_about_at_once(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async with team_of(paths, temporal, tmp_path, "[{at: hello, status: 429}]") as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        assert board.agents["alice"].reason == "usage limit of the provider"
        (asked,) = board.open_interrupts
        await team.control.answer(team.fleet, asked.id, Answer(option=TRY_NOW))
        await team.until(lambda board: board.outcome == "completed")


async def test_a_provider_that_is_down_is_looked_for(
    paths: Paths, temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FIRST_PAUSE", timedelta(milliseconds=200))
    troubles = "[{at: hello, status: 503, times: 7}]"
    async with team_of(paths, temporal, tmp_path, troubles, "provider_down: 1s") as team:
        team.replay = False  # its pauses are not those of the workflow that is replayed
        await team.start()
        board = await team.until(lambda board: bool(board.interrupts))
        assert board.agents["alice"].reason == "model provider down"
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        (asked,) = board.interrupts.values()
        assert (asked.about, asked.state) == ("provider_down", InterruptState.WITHDRAWN)
        assert [fact.status for fact in team.facts(ev.ModelCalled)] == [503] * 3 + [200], "the rest were looks"
        assert len(team.facts(ev.TurnStarted)) == 1


async def test_a_moment_without_the_provider_is_the_programs_own(
    paths: Paths, temporal: Client, tmp_path: Path
) -> None:
    async with team_of(paths, temporal, tmp_path, "[{at: hello, status: 502, times: 2}]") as team:
        await team.start()
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert not reasons(team) and not team.facts(ev.ModelTrouble)


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[None]:
    """A provider on that port, which answers everything with a usage."""

    async def answer(request: Request) -> Response:
        return JSONResponse({"output": [], "usage": {"input_tokens": 7, "output_tokens": 3}})

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    with socket.create_server(("127.0.0.1", port)) as sock:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
        task = asyncio.create_task(server._serve([sock]))
        yield
        server.should_exit = True
        await task


async def test_a_provider_that_comes_back_is_found(paths: Paths, temporal: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    text = (
        PROJECT.format(limits="stall: 1h")
        + f"    provider: local\nproviders:\n  local: {{api: openai, base_url: 'http://127.0.0.1:{port}/v1'}}\n"
    )

    async def script(turn: Turn) -> None:
        for number in range(5):
            try:
                await ask(paths, team.fleet, turn)
                break
            except Exception as error:
                if " 400: " in str(error) or number == 4:
                    raise
        await turn.call("finish", summary="done")

    team = Team(paths, temporal, script, text=text)
    async with team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].reason == "model provider down")
        async with serving(port):
            board = await team.until(lambda board: board.outcome != "", seconds=60)
        assert board.outcome == "completed"
        assert [fact.status for fact in team.facts(ev.ModelCalled)] == [503, 503, 503, 200]
        assert [fact.cause for fact in team.facts(ev.ModelTrouble)] == ["provider_down", ""]
        assert not board.interrupts, "it was back before anybody had to be asked"
        assert len(team.facts(ev.TurnStarted)) == 1


async def test_a_provider_that_refuses_connections(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    text = (
        PROJECT.format(limits="provider_down: 1s")
        + "    provider: local\nproviders:\n  local: {api: openai, base_url: 'http://127.0.0.1:9/v1'}\n"
    )
    told: list[str] = []

    async def script(turn: Turn) -> None:
        while True:
            try:
                await ask(paths, team.fleet, turn)
            except Exception as error:
                told.append(str(error))
                if " 400: " in str(error):
                    raise

    def asked(board: Board) -> bool:
        return board.agents["alice"].reason == "model provider down" and bool(board.open_interrupts)

    team = Team(paths, temporal, script, text=text)
    async with team:
        await team.start()
        board = await team.until(asked)
        assert [" 503: " in words for words in told] == [True, True, False]
        assert not board.quiet
        await asyncio.wait_for(team.control.stop_fleet(team.fleet), 10)
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "stopped" and not board.open_interrupts
