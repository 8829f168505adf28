"""``skerry run --headless``: what it tells, how it ends, and what it refuses before anything starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.follow import Follower
from app.cli.run import scenario_file, with_default_scenario
from app.config import Paths
from app.control import engine_was_killed
from app.domain.errors import ConfigError, EngineError
from app.domain.events import AgentStatus
from app.engine.instance import EngineInfo, InstanceLock, write_ready
from tests.cli.conftest import PROJECT, AtWork, Skerry
from tests.cli.test_acting import ask_then_finish
from tests.conftest import WriteProject
from tests.team import Turn

HEADLESS = ("run", "--headless", "--until-idle")


@pytest.fixture(autouse=True)
def key_and_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setattr("app.cli.follow.QUIET_SECONDS", 0.4)  # patience costs time


async def test_it_answers_by_default_and_ends_well(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        done = await desk.type(*HEADLESS, "--answer-default")
        assert done.returncode == 0
        lines = [line[10:] for line in done.stdout.splitlines()]
        assert lines[0] == "team   demo starts: alice, bob"
        assert lines[-1] == "team   the run has completed"
        assert "alice  ? Which colour?" in done.stdout
        assert "blue (by default)" in done.stdout


@pytest.mark.slow
async def test_it_says_who_waits_and_leaves_the_team_for_another_run_to_join(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        done = await desk.type(*HEADLESS)
        assert done.returncode == 1
        (question,) = (await desk.team.until(lambda board: True)).open_interrupts
        assert "alice waits for you: Which colour?" in done.stderr
        assert f"answer: skerry answer {question.id} 1" in done.stderr
        run = await desk.team.control.running_run(desk.team.fleet)
        again = await desk.type(*HEADLESS, "--json")
        assert again.returncode == 1
        assert f"demo is at work already: following run {run}" in again.stderr
        facts = [json.loads(line) for line in again.stdout.splitlines()]
        assert [fact["kind"] for fact in facts].count("run_started") == 1
        assert facts[0]["kind"] == "run_started"
        assert {fact["run"] for fact in facts} == {run}


@pytest.mark.slow
async def test_a_team_with_nothing_left_to_do_is_stopped(at_work: AtWork) -> None:
    async def script(turn: Turn) -> None:
        pass

    async with at_work(script) as desk:
        done = await desk.type(*HEADLESS)
        assert done.returncode == 0
        assert "stopped: nothing is left to do" in done.stdout
        assert done.stdout.splitlines()[-1].endswith("the run has been stopped")


async def test_a_failed_agent_is_named_with_its_reason(at_work: AtWork) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "bob":
            raise ConfigError("bob's model is not known", operation="run")
        await turn.call("finish", summary="done")

    async with at_work(script) as desk:
        done = await desk.type(*HEADLESS)
        assert done.returncode == 1
        assert "bob's model is not known" in done.stderr.split("bob failed: ")[1]
        assert "skerry console bob" in done.stderr


@pytest.mark.slow
async def test_control_c_leaves_the_team_at_work(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "run", "--headless", str(desk.team.project.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        await desk.team.until(lambda board: bool(board.agents) and board.agents["alice"].state is AgentStatus.WAITING)
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(process.communicate, timeout=90)
        assert process.returncode == 130
        assert "Which colour?" in out
        root = desk.team.project.root
        assert f"To follow it: skerry run --headless {root}; to end it: skerry stop --team -p {root}" in err
        assert "Traceback" not in err
        assert await desk.team.control.running_run(desk.team.fleet) is not None


def test_an_engine_that_goes_is_noticed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(paths, "demo", "run", lambda event: None)
    follower.check_engine()  # somebody may be starting it again
    monkeypatch.setattr("app.cli.follow.GONE_SECONDS", 0.0)
    with pytest.raises(EngineError, match="the engine has ended"):
        follower.check_engine()
    follower.close()


def test_an_engine_that_was_killed_is_told_from_one_that_ended(paths: Paths) -> None:
    assert not engine_was_killed(paths)
    write_ready(paths.engine_ready, EngineInfo(1, "1", "a", "b", "c"))
    assert engine_was_killed(paths)
    with InstanceLock(paths.engine_lock):
        assert not engine_was_killed(paths)


def test_without_a_key_nothing_starts(
    skerry: Skerry, write_project: WriteProject, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    for more in ((), ("--headless",)):
        done = skerry("run", str(write_project(PROJECT)), *more)
        assert done.complained(4, "OPENAI_API_KEY is not set", "export OPENAI_API_KEY", "skerry run --rehearse")
    assert not paths.journal_db.exists()


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        ("file:/no/such/key", ("cannot be opened", "skerry run --rehearse")),
        ("env:MY_KEY", ("MY_KEY is not set", "export MY_KEY")),
    ],
)
def test_other_keys_that_are_not_there(
    skerry: Skerry, write_project: WriteProject, credential: str, words: tuple[str, ...]
) -> None:
    folder = write_project(PROJECT + f"providers:\n  openai: {{credential: '{credential}'}}\n")
    assert skerry("run", str(folder), "--headless").complained(4, *words)


def test_a_licence_that_was_not_accepted(
    skerry: Skerry, write_project: WriteProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SKERRY_IMAGES", str(tmp_path / "no-images"))
    folder = write_project(PROJECT + "  - {id: reviewer, type: claude-code}\n")
    done = skerry("run", str(folder), "--headless", "--rehearse")
    assert done.complained(4, "reviewer needs Claude Code, of Anthropic PBC", "skerry image build claude-code")


def test_options_that_need_the_terminal(skerry: Skerry, write_project: WriteProject) -> None:
    assert skerry("run", "--until-idle", str(write_project(PROJECT))).complained(2, "--headless")


def test_scenarios(skerry: Skerry, write_project: WriteProject, tmp_path: Path) -> None:
    folder = str(write_project(PROJECT))
    assert skerry("run", folder, "--headless", "--rehearse", "nope").complained(2, "no scenario 'nope'", "blueprint")
    assert skerry("run", folder, "--rehearse", "nope.yaml").complained(2, "no scenario nope.yaml")
    assert Path(scenario_file("blueprint")).name == "blueprint.yaml"
    own = tmp_path / "own.yaml"
    own.touch()
    assert scenario_file(str(own)) == str(own)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--rehearse"], ["--rehearse=blueprint"]),
        (["--rehearse", "--headless"], ["--rehearse=blueprint", "--headless"]),
        (["--rehearse", "."], ["--rehearse=blueprint", "."]),
        (["--rehearse", "some/project"], ["--rehearse=blueprint", "some/project"]),
        (["--rehearse", "blueprint", "."], ["--rehearse", "blueprint", "."]),
        (["--rehearse", "my.yaml"], ["--rehearse", "my.yaml"]),
        (["--rehearse", "nope"], ["--rehearse", "nope"]),
        (["send", "a", "--", "--rehearse"], ["send", "a", "--", "--rehearse"]),
    ],
)
def test_the_scenario_may_be_left_out(typed: list[str], meant: list[str]) -> None:
    assert with_default_scenario(typed) == meant
