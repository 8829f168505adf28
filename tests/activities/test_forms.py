"""Forms of programs: put to the user, answered once, by option or in words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from temporalio.client import Client

from app.config import Paths
from app.domain.events import AgentStatus
from app.domain.forms import Field, FormAsked, Value
from app.domain.interrupt import Answer, InterruptKind
from tests.team import Team, Turn

PROJECT = """
project: {name: demo}
agents:
  - {id: alice, type: claude-code, initial_instructions: Begin.}
"""
FORM = FormAsked("Which colour?\nFor the door.", (Field("colour", "choice", "Colour", "", ("red", "blue")),), "c1")


class Programme:
    """Asks in its first turn, and keeps what it was told."""

    def __init__(self) -> None:
        self.values: list[Mapping[str, Value] | None] = []

    async def __call__(self, turn: Turn) -> None:
        if turn.number == 1:
            self.values.append(await turn.observer.form(FORM))


@pytest.mark.parametrize(
    ("answer", "values"),
    [(Answer(option="blue"), {"colour": "blue"}), (Answer(text="RED"), {"colour": "red"}), (Answer(text="?"), {})],
)
async def test_a_form_is_a_question_to_the_user(
    paths: Paths, temporal: Client, answer: Answer, values: Mapping[str, Value]
) -> None:
    programme = Programme()
    async with Team(paths, temporal, programme, text=PROJECT) as team:
        await team.start()
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert (asked.kind, asked.title, asked.options) == (InterruptKind.USER_INPUT, "Which colour?", ("red", "blue"))
        assert asked.body == "For the door.\n\nColour"
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        assert board.agents["alice"].reason == 'an answer to the question "Which colour?"'
        await team.control.answer(team.fleet, asked.id, answer)
        await team.until(lambda board: board.quiet)
    assert programme.values == [values]
    assert len(team.turns) == 1, "the answer went to the program, not into a prompt"


async def test_a_cancelled_turn_withdraws_it(paths: Paths, temporal: Client) -> None:
    programme = Programme()
    async with Team(paths, temporal, programme, text=PROJECT) as team:
        await team.start()
        await team.until(lambda board: bool(board.open_interrupts))
        await team.control.cancel_turn(team.fleet, "alice")
        board = await team.until(lambda board: board.quiet)
        assert not board.open_interrupts
