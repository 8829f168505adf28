"""The blueprint's rehearsal from begin to end: real commands, real files, no machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.domain.ports import ActionResult
from app.gateway.rehearsal import Player
from app.gateway.responses_request import read_request
from app.gateway.responses_stream import response
from app.gateway.scenario import load_scenario
from tests.gateway.harness import Harness, Json, Office, play

SCENARIO = Path(__file__).parents[2] / "resources" / "rehearsals" / "blueprint.yaml"
TEAM = ("product-owner-agent", "dev-agent", "test-agent")
ACTIONS_OF = {"product-owner-agent": 8, "dev-agent": 10, "test-agent": 8}


def company(folder: Path, office: Office, run: str = "r1") -> dict[str, Harness]:
    scenario = load_scenario(SCENARIO)
    team: dict[str, Harness] = {}
    for agent in TEAM:
        player = Player(scenario, scenario.agents[agent], {"agent": agent, "fleet": "f", "run": run})

        async def ask(body: Json, player: Player = player) -> Json:
            asked = read_request(body)
            assert asked.purpose == "turn"
            move = player.next_move(asked.conversation)
            seed = f"{len(asked.conversation.items)}"
            return response(move, asked.conversation.toolbox, model="m", created_at=0, seed=seed, tokens=(1, 1))

        async def call(name: str, arguments: Json, agent: str = agent) -> str:
            result: ActionResult = await office.handle(agent, name, arguments, "c")
            return f"Wall time: 0.01 seconds\nOutput:\n{result.text}"

        workspace = folder / agent
        workspace.mkdir(parents=True, exist_ok=True)
        team[agent] = Harness(agent, office, workspace, ask, call)
    return team


def check_end(workspaces: Mapping[str, Path], office: Office) -> None:
    owner, dev, test = TEAM
    module = f"{load_scenario(SCENARIO).text('module_v2')}\n"
    assert set(office.finished) == set(TEAM)
    assert office.debug == []
    assert (workspaces[dev] / "duration.py").read_text() == module
    assert (workspaces[test] / "duration.py").read_text() == module
    assert "OK" in (workspaces[test] / "result.txt").read_text()
    assert "render" in (workspaces[owner] / "FEATURE.md").read_text()
    assert all(len(office.memory[agent]) >= 2 for agent in TEAM)
    routes = [(message["sender"], message["recipient"]) for message in office.messages.values()]
    assert routes == [(owner, dev), (dev, test), (test, dev), (dev, test), (test, dev), (dev, owner), (owner, dev)]


async def test_the_story_is_told_and_its_tests_fail_first(tmp_path: Path) -> None:
    office = Office()
    team = company(tmp_path, office)
    await play(team, office)
    check_end({agent: tmp_path / agent for agent in TEAM}, office)
    bodies = [message["body"] for message in office.messages.values()]
    assert "FAIL: test_zero" in bodies[2] and "FAIL: test_other_text_is_refused" in bodies[2]
    assert bodies[4] == "PASSED: all 11 tests pass on this version."
    assert {agent: team[agent].actions for agent in TEAM} == ACTIONS_OF
    for harness in team.values():
        assert len(set(harness.commands)) == len(harness.commands)


async def test_a_second_run_on_the_old_files_goes_the_same_way(tmp_path: Path) -> None:
    for run in ("r1", "r2"):
        office = Office()
        await play(company(tmp_path, office, run), office)
        check_end({agent: tmp_path / agent for agent in TEAM}, office)


async def test_the_user_may_say_not_yet(tmp_path: Path) -> None:
    office = Office(answer="Not yet\nWeeks are missing.")
    await play(company(tmp_path, office), office)
    check_end({agent: tmp_path / agent for agent in TEAM}, office)
    assert [*office.messages.values()][-1]["body"].startswith("Not yet: the user wants more (Not yet).")
    assert "Not yet" in office.memory["dev-agent"][-1]


CRASHES = [
    (agent, at, first) for agent, actions in ACTIONS_OF.items() for at in range(1, actions + 1) for first in (0, 1)
]


@pytest.mark.parametrize(
    ("agent", "at", "act_first"),
    [pytest.param(*crash, marks=() if index % 24 == 4 else pytest.mark.slow) for index, crash in enumerate(CRASHES)],
)
async def test_killed_anywhere_the_story_ends_the_same(tmp_path: Path, agent: str, at: int, act_first: int) -> None:
    office = Office()
    team = company(tmp_path, office)
    team[agent].crash_at, team[agent].act_first = at, bool(act_first)
    await play(team, office)
    check_end({agent: tmp_path / agent for agent in TEAM}, office)
    for harness in team.values():
        assert len(set(harness.commands)) == len(harness.commands)


def test_every_agent_of_the_blueprint_has_a_part() -> None:
    scenario = load_scenario(SCENARIO)
    assert set(scenario.agents) == set(TEAM)
