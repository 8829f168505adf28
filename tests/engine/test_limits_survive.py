"""An agent at its limit over the death of the engine, and of Temporal's database: asked once, answered once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.config import Paths, load_project
from app.domain import events as ev
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, Interrupt
from app.domain.limits import CONTINUE_ONCE
from tests.engine.test_engine import Scripted
from tests.team import PROJECT

pytestmark = pytest.mark.slow  # processes start and end


@pytest.fixture
async def scripted(paths: Paths, tmp_path: Path) -> AsyncIterator[Scripted]:
    scripted = Scripted(paths, tmp_path)
    (tmp_path / "agents.yaml").write_text(PROJECT + "    limits: {turns: 1}\n")
    scripted.project = load_project(tmp_path)
    yield scripted
    if scripted.process is not None and scripted.process.poll() is None:
        scripted.kill()


def approvals(scripted: Scripted) -> list[Interrupt]:
    return [item for item in scripted.board().open_interrupts if item.about == "budget:turns"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("lost", [False, True])
async def test_killed_between_the_question_and_its_answer(scripted: Scripted, lost: bool) -> None:
    """Bob may have one turn; the message of alice would be his second."""
    await scripted.start()
    async with scripted.control() as control:
        await control.run_fleet(scripted.project)
    await scripted.wait(lambda: bool(approvals(scripted)))
    (asked,) = approvals(scripted)
    assert scripted.board().agents["bob"].reason == "limit: 1 of 1 turn used"
    scripted.kill()
    if lost:
        for file in scripted.paths.state.glob("temporal*.db*"):
            file.unlink()
    await scripted.start()
    await scripted.wait(lambda: scripted.board().agents["bob"].state is AgentStatus.WAITING)
    assert [item.id for item in approvals(scripted)] == [asked.id], "it is open still, and no second one was raised"
    async with scripted.control() as control:
        await control.answer(scripted.project.fleet_id, asked.id, Answer(option=CONTINUE_ONCE))
    await scripted.wait(lambda: scripted.board().agents["bob"].state is AgentStatus.COMPLETED)
    facts = scripted.facts()
    assert [(fact.limit, fact.turn) for fact in facts if isinstance(fact, ev.BudgetRaised)] == [("turns", 2)]
    raised = [fact for fact in facts if isinstance(fact, ev.InterruptRaised) and fact.interrupt.about]
    assert len(raised) == 1
    turns = [fact.turn for fact in facts if isinstance(fact, ev.TurnStarted) and fact.agent == "bob"]
    assert turns == [1, 2]
