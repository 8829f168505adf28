"""Skerry's own tools under the rules: denied, asked about, allowed."""

from __future__ import annotations

import pytest
from temporalio.client import Client

from app.activities.permissions import ALLOW_ONCE, DENY
from app.config import Paths
from app.domain import events as ev
from app.domain.errors import ActionRefused
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, InterruptKind
from tests.activities.test_permissions import rules
from tests.team import Team, Turn

PROJECT = """
project: {name: demo}
agents:
  - {id: alice, type: codex, initial_instructions: Begin.}
"""
RULES = """\
---
tools:
  deny: [request_debug]
  ask: [memory_append]
approve: deny
---
# Rules
"""


class Programme:
    """Calls tools in its first turn; keeps what came of it."""

    def __init__(self, *calls: tuple[str, dict[str, str]]) -> None:
        self.calls = calls
        self.outcomes: list[str] = []

    async def __call__(self, turn: Turn) -> None:
        for name, arguments in self.calls if turn.number == 1 else ():
            try:
                self.outcomes.append((await turn.call(name, **arguments)).text)
            except ActionRefused as error:
                self.outcomes.append(f"refused: {error.message}")


NOTE = ("memory_append", {"heading": "Notes", "text": "a note"})


async def test_a_denied_tool_is_refused_with_the_rule_and_others_are_not_asked_about(
    paths: Paths, temporal: Client
) -> None:
    programme = Programme(("request_debug", {"problem": "stuck"}), ("report_progress", {"summary": "on my way"}))
    rules(paths, RULES)
    async with Team(paths, temporal, programme, text=PROJECT) as team:
        await team.start()
        board = await team.until(lambda board: board.quiet)
        (decided,) = team.facts(ev.PermissionDecided)
        assert [item.kind for item in board.interrupts.values()] == [InterruptKind.PROGRESS_REPORT]
    refusal, report = programme.outcomes
    assert "request_debug is denied by your rules" in refusal and "rules.md:3" in refusal
    assert not report.startswith("refused")
    assert (decided.verdict, decided.rule) == ("deny", "tools.deny: request_debug")


@pytest.mark.parametrize(("option", "kept"), [(ALLOW_ONCE, True), (DENY, False)])
async def test_what_is_asked_about_waits_in_the_call(paths: Paths, temporal: Client, option: str, kept: bool) -> None:
    programme = Programme(NOTE)
    rules(paths, RULES)
    async with Team(paths, temporal, programme, text=PROJECT) as team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        (asked,) = board.open_interrupts
        assert asked.title.startswith('alice wants to use "memory_append {') and '"a note"' in asked.title
        assert board.agents["alice"].reason.startswith('approval to use "memory_append {')
        assert asked.options == (ALLOW_ONCE, DENY)
        await team.control.answer(team.fleet, asked.id, Answer(option=option))
        await team.until(lambda board: board.quiet)
        note = (team.project.root / "agents/alice/memory.md").read_text()
    assert ("a note" in note) is kept
    assert programme.outcomes[0].startswith("refused") is not kept


async def test_a_call_gives_up_waiting_and_the_next_one_hears_the_answer(paths: Paths, temporal: Client) -> None:
    programme = Programme(NOTE, NOTE)
    rules(paths, RULES)
    async with Team(paths, temporal, programme, text=PROJECT, block_seconds=1.5) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts) and bool(programme.outcomes))
        (asked,) = board.open_interrupts
        await team.control.answer(team.fleet, asked.id, Answer(option=ALLOW_ONCE))
        board = await team.until(lambda board: board.quiet)
        assert len(board.interrupts) == 1
    first, second = programme.outcomes
    assert "has not answered yet" in first and not second.startswith("refused")
