"""At 80 % of a budget the user is told, at 100 % the agent waits and asks; the gateway lets no request through."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client

from app.config import Paths, load_project
from app.domain import events as ev
from app.domain.board import Board
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, Interrupt, InterruptKind, InterruptState
from app.domain.limits import CONTINUE_ONCE, STOP_AGENT
from tests.team import Team, Turn
from tests.workflows.asking import PROJECT, ask, scenario


def asked(board: Board, about: str) -> list[Interrupt]:
    return [item for item in board.interrupts.values() if item.about.partition(":")[0] == about]


def _tokens(team: Team) -> int:
    return sum(call.input_tokens + call.output_tokens for call in team.facts(ev.ModelCalled))


def waits(board: Board) -> bool:
    return board.agents["alice"].state is AgentStatus.WAITING and bool(asked(board, "budget"))


class Asking:
    """A script: so many requests in its first turn, one in each later turn, then done."""

    def __init__(self, paths: Paths, requests: int) -> None:
        self._paths = paths
        self.requests = requests
        self.refusals: list[str] = []
        self.report_at = 0
        """Tokens after which it goes on only when the user was told of them."""
        self.team: Team

    async def __call__(self, turn: Turn) -> None:
        while self.requests:
            try:
                await ask(self._paths, self.team.fleet, turn)
            except Exception as error:
                self.refusals.append(str(error))
                raise
            self.requests -= 1
            if self.report_at and _tokens(self.team) >= self.report_at:
                self.report_at = 0
                await self.team.until(lambda board: bool(asked(board, "budget80")))
        await turn.call("finish", summary="done")


def team_of(paths: Paths, temporal: Client, folder: Path, script: Asking, limits: str) -> Team:
    team = Team(paths, temporal, script, text=PROJECT.format(limits=limits), rehearsal=scenario(folder))
    script.team = team
    return team


async def test_tokens_are_metered_reported_and_stopped(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    script = Asking(paths, 30)
    script.report_at = 1600
    async with team_of(paths, temporal, tmp_path, script, "tokens: 2000") as team:
        await team.start()
        board = await team.until(waits)
        assert board.agents["alice"].reason.startswith("limit: 2,")
        assert board.agents["alice"].reason.endswith(" of 2,000 tokens used")
        (approval,) = asked(board, "budget")
        assert approval.kind is InterruptKind.APPROVAL and approval.blocking
        assert approval.options == ("Raise by 10,000 tokens", CONTINUE_ONCE, STOP_AGENT)
        (report,) = asked(board, "budget80")
        assert report.kind is InterruptKind.PROGRESS_REPORT
        assert len(script.refusals) == 1, "the turn is not tried again"
        assert "400" in script.refusals[0] and "of 2,000 tokens used" in script.refusals[0]
        calls = team.facts(ev.ModelCalled)
        assert board.agents["alice"].account.tokens == _tokens(team)
        assert not any(call.nanodollars for call in calls)

        await team.control.answer(team.fleet, approval.id, Answer(option=approval.options[0]))
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert [fact.turn for fact in team.facts(ev.TurnStarted)] == [1], "the turn went on, it was not doubled"
        assert [(fact.limit, fact.amount) for fact in team.facts(ev.BudgetRaised)] == [("tokens", 10_000)]


async def test_continue_once_asks_again_and_stop_stops(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async def script(turn: Turn) -> None:
        """Does nothing: each message is a turn."""

    text = PROJECT.format(limits="turns: 1")
    async with Team(paths, temporal, script, text=text) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        await team.control.send(team.fleet, "alice", "One more.")
        board = await team.until(waits)
        assert board.agents["alice"].reason == "limit: 1 of 1 turn used"
        (first,) = asked(board, "budget")
        await team.control.answer(team.fleet, first.id, Answer(option=CONTINUE_ONCE))
        await team.until(lambda board: board.agents["alice"].turn == 2 and board.quiet)
        await team.control.send(team.fleet, "alice", "And one more.")
        board = await team.until(lambda board: len(asked(board, "budget")) == 2)
        (second,) = [item for item in board.open_interrupts if item.id != first.id]
        await team.control.answer(team.fleet, second.id, Answer(option=STOP_AGENT))
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "stopped"
        assert board.agents["alice"].turn == 2


async def test_wall_clock_ends_a_turn_that_never_asks(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    cancelled = asyncio.Event()

    async def script(turn: Turn) -> None:
        if len(team.turns) > 1:
            await turn.call("finish", summary="done")
            return
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    text = PROJECT.format(limits="wall_clock: 1s, command: 1s")
    async with Team(paths, temporal, script, text=text) as team:
        await team.start()
        board = await team.until(waits)
        assert cancelled.is_set()
        assert board.agents["alice"].reason.startswith("limit: ")
        (approval,) = asked(board, "budget")
        await team.control.answer(team.fleet, approval.id, Answer(option=approval.options[0], text="1h"))
        await team.until(lambda board: board.outcome == "completed")
        assert [fact.amount for fact in team.facts(ev.BudgetRaised)] == [3600]
        assert [fact.turn for fact in team.facts(ev.TurnResumed)] == [1]


async def test_who_has_finished_is_not_held_for_its_last_words(paths: Paths, temporal: Client, tmp_path: Path) -> None:
    async def script(turn: Turn) -> None:
        await turn.call("finish", summary="done")
        while True:
            await ask(paths, team.fleet, turn)

    text = PROJECT.format(limits="tokens: 500")
    team = Team(paths, temporal, script, text=text, rehearsal=scenario(tmp_path))
    async with team:
        await team.start()
        board = await team.until(lambda board: board.outcome != "")
        assert board.outcome == "completed"
        assert not asked(board, "budget")
        assert [fact.stop_reason for fact in team.facts(ev.TurnEnded)] == ["end_turn"]


async def test_new_instructions_alone_do_not_raise_a_limit(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        """Does nothing: each message is a turn."""

    async with Team(paths, temporal, script, text=PROJECT.format(limits="turns: 1")) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        await team.control.send(team.fleet, "alice", "One more.")
        board = await team.until(waits)
        (first,) = asked(board, "budget")
        await team.control.answer(team.fleet, first.id, Answer(action="modify", text="Be brief."))
        board = await team.until(lambda board: len(asked(board, "budget")) == 2)
        (second,) = board.open_interrupts
        assert board.agents["alice"].state is AgentStatus.WAITING
        file = team.project.file
        file.write_text(PROJECT.format(limits="turns: 10"))
        await team.control.reload_fleet(load_project(file))
        board = await team.until(lambda board: board.agents["alice"].turn > 1 and board.quiet)
        assert board.interrupts[second.id].state is InterruptState.WITHDRAWN
        told = [turn.prompt for turn in team.turns[1:]]
        assert any("Be brief." in prompt for prompt in told) and any("One more." in prompt for prompt in told)


@pytest.mark.parametrize("raised", [False, True])
async def test_a_reload_with_a_larger_budget_lets_it_go_on(
    paths: Paths, temporal: Client, tmp_path: Path, raised: bool
) -> None:
    script = Asking(paths, 12)
    async with team_of(paths, temporal, tmp_path, script, "tokens: 1000") as team:
        await team.start()
        await team.until(waits)
        if not raised:
            return  # stopped while it waits: it ends in order
        file = team.project.file
        file.write_text(PROJECT.format(limits="tokens: 100000"))
        await team.control.reload_fleet(load_project(file))
        board = await team.until(lambda board: board.outcome == "completed")
        assert not board.open_interrupts
