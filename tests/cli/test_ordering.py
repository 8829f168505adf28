"""``cancel``, ``instruct`` and ``approve``, with a team at work."""

from __future__ import annotations

import json

from app.domain.events import AgentStatus
from tests.cli.conftest import AtWork
from tests.cli.test_acting import ask_then_finish, asked


async def test_instructions_are_given_and_shown(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        await asked(desk)
        done = await desk.type("instruct", "alice", "Use tabs.")
        assert (done.returncode, done.stdout) == (0, "alice has new instructions\n")
        await desk.team.until(lambda board: bool(board.instructions))
        shown = json.loads((await desk.type("instruct", "alice", "--json")).stdout)
        assert shown["instructions"] == "Begin.\n\nUse tabs."
        assert [(item["mode"], item["by"]) for item in shown["history"]] == [("amend", "user")]


async def test_a_task_is_cancelled_and_a_turn_that_is_none_is_not(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        await asked(desk)
        refused = await desk.type("cancel", "alice")
        assert (refused.returncode, refused.stderr) == (1, "error: alice has no turn under way\n")
        done = await desk.type("cancel", "alice", "--task")
        assert (done.returncode, done.stdout) == (0, "alice is told to drop its task\n")
        await desk.team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert not (await desk.team.until(lambda board: True)).open_interrupts


async def test_approving_everything_stands_in_the_status_until_it_is_ended(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        await asked(desk)
        assert (await desk.type("approve", "alice")).complained(2, "for how long?")
        assert "is given until" in (await desk.type("approve", "alice", "--for", "10m")).stdout
        assert "every approval of alice is given until" in (await desk.type("status")).stdout
        assert (await desk.type("approve", "alice", "--end")).returncode == 0
        assert "every approval" not in (await desk.type("status")).stdout
