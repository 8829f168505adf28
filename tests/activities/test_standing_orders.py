"""Changed rules reach an agent whose conversation goes on."""

from __future__ import annotations

from temporalio.client import Client

from app.config import Paths
from tests.activities.test_permissions import rules
from tests.team import Team, Turn

PROJECT = """
project: {name: demo}
agents:
  - {id: alice, type: codex, initial_instructions: Begin.}
"""


async def idle(turn: Turn) -> None:
    """It has nothing to do."""


async def test_new_prose_is_told_once_with_the_next_prompt(paths: Paths, temporal: Client) -> None:
    file = rules(paths, "# Rules\nBe brief.\n")
    async with Team(paths, temporal, idle, text=PROJECT) as team:
        await team.start()
        await team.until(lambda board: board.quiet and len(team.turns) == 1)
        await team.control.send(team.fleet, "alice", "one")
        await team.until(lambda board: board.quiet and len(team.turns) == 2)
        file.write_text("---\ncommands: {deny: [rm]}\n---\n# Rules\nBe brief.\n")  # nothing that it reads
        await team.control.send(team.fleet, "alice", "two")
        await team.until(lambda board: board.quiet and len(team.turns) == 3)
        file.write_text("# Rules\nNever push on Fridays.\n")
        await team.control.send(team.fleet, "alice", "three")
        await team.until(lambda board: board.quiet and len(team.turns) == 4)
        file.write_text("---\nnonsense: 1\n---\n# Rules\nBroken.\n")
        await team.control.send(team.fleet, "alice", "four")
        await team.until(lambda board: board.quiet and len(team.turns) == 5)
    told = [turn.prompt for turn in team.turns if "Your rules have changed" in turn.prompt]
    assert len(told) == 1 and "Never push on Fridays." in told[0] and "three" in told[0]
