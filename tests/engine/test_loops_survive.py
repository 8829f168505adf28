"""API loops over the death of the engine, and of Temporal's database: no reply is paid twice, no command runs twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.config import Paths, load_project
from app.domain import events as ev
from app.domain.events import AgentStatus
from tests.engine.test_engine import Scripted
from tests.workflows.looping import APIS, PROJECT

pytestmark = pytest.mark.slow  # processes start and end

SCENARIO = """
title: Survival
think_seconds: 0
agents:
  alice:
    steps:
      - id: first
        run: slow one
        recover: look after one
      - id: think
        think_seconds: 3
        calls: [{tool: memory_append, arguments: {text: I have thought.}}]
      - id: second
        run: slow two
      - id: end
        calls: [{tool: finish, arguments: {summary: Done.}}]
"""


@pytest.fixture(params=APIS)
async def looping(request: pytest.FixtureRequest, paths: Paths, tmp_path: Path) -> AsyncIterator[Scripted]:
    scripted = Scripted(paths, tmp_path)
    scripted.program = "tests.engine.looping_engine"
    kind = "anthropic" if request.param == "anthropic" else "openai"
    text = PROJECT.format(kind=kind, extra=APIS[request.param], limits="stall: 1h")
    (tmp_path / "agents.yaml").write_text(text)
    (tmp_path / "survival.yaml").write_text(SCENARIO)
    scripted.project = load_project(tmp_path)
    yield scripted
    if scripted.process is not None and scripted.process.poll() is None:
        scripted.kill()


def diary(scripted: Scripted) -> list[str]:
    return scripted.diary.read_text().splitlines() if scripted.diary.exists() else []


def replies(scripted: Scripted) -> int:
    """What was paid: whole answers of the model."""
    return sum(isinstance(fact, ev.ModelCalled) and fact.status == 200 for fact in scripted.facts())


def has_said(scripted: Scripted, text: str) -> bool:
    return any(isinstance(fact, ev.ToolEnded) and text in fact.output for fact in scripted.facts())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lost", [False, True], ids=["killed", "temporal lost"])
async def test_a_turn_goes_on_where_it_was(looping: Scripted, tmp_path: Path, lost: bool) -> None:
    await looping.start()
    async with looping.control() as control:
        await control.run_fleet(looping.project, str(tmp_path / "survival.yaml"))
    await looping.wait(lambda: "begun slow one" in diary(looping))
    looping.kill()  # in the middle of a command
    if lost:
        for file in looping.paths.state.glob("temporal*.db*"):
            file.unlink()
    await looping.start()
    await looping.wait(lambda: "ended look after one" in diary(looping), 90)
    assert has_said(looping, "[skerry] interrupted:")
    looping.kill()  # while the model thinks, or just before
    await looping.start()
    await looping.wait(lambda: looping.board().agents["alice"].state is AgentStatus.COMPLETED, 90)
    lines = diary(looping)
    assert lines.count("begun slow one") == 1 and "ended slow one" not in lines
    assert [lines.count(f"{what} slow two") for what in ("begun", "ended")] == [1, 1]
    facts = looping.facts()
    assert [fact.turn for fact in facts if isinstance(fact, ev.TurnStarted)] == [1]
    assert [fact.turn for fact in facts if isinstance(fact, ev.TurnEnded)] == [1]
    assert any(isinstance(fact, ev.TurnResumed) for fact in facts)
    assert replies(looping) == 6, "first, its mending, think, second, end, and the goodbye: each paid once"
    notes = (tmp_path / "agents/alice/memory.md").read_text()
    assert notes.count("I have thought.") == 1
