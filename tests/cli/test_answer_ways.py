"""``answer`` with --replace, --task, --alike and --reason; ``interrupts --follow``; ``reset --team``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.domain.events import AgentStatus
from app.domain.interrupt import InterruptKind
from tests.cli.conftest import AtWork, Skerry
from tests.cli.test_acting import ask_then_finish, asked
from tests.cli.test_life import all_at_rest, rest
from tests.team import Turn
from tests.ui.story import Story

ROOT = Path(__file__).resolve().parents[2]


async def write_twice(turn: Turn) -> None:
    """Bob may not write to alice, and does so twice; each message waits for the user."""
    if turn.agent == "bob" and turn.number == 1:
        for body in ("First.", "Second."):
            await turn.call("send_message", recipient="alice", subject="Hello", body=body)


async def test_new_instructions_stand_instead_of_the_old_ones(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        question = await asked(desk)
        assert (await desk.type("answer", question, "red", "--replace")).complained(2, "--replace goes with --modify")
        done = await desk.type("answer", question, "--modify", "--replace", "Only paint.", "--json")
        given = json.loads(done.stdout)["answer"]
        assert (given["action"], given["mode"], given["text"]) == ("modify", "replace", "Only paint.")
        await desk.team.until(lambda board: board.outcome == "completed")
        shown = json.loads((await desk.type("instruct", "alice", "--json")).stdout)
        assert shown["instructions"] == "Only paint."
        assert [(item["mode"], item["interrupt_id"]) for item in shown["history"]] == [("replace", question)]


async def test_only_the_task_is_cancelled(at_work: AtWork) -> None:
    async with at_work(ask_then_finish) as desk:
        question = await asked(desk)
        assert (await desk.type("answer", question, "red", "--task")).complained(2, "--task with --cancel")
        done = await desk.type("answer", question, "--cancel", "--task")
        assert (done.returncode, done.stdout) == (0, "alice is told to drop its task\n")
        board = await desk.team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert not board.open_interrupts


async def test_all_alike_are_answered_with_one_command(at_work: AtWork) -> None:
    async with at_work(write_twice) as desk:
        await desk.team.start()
        board = await desk.team.until(lambda board: len(board.open_interrupts) == 2)
        first, second = (item.id for item in board.open_interrupts)
        done = await desk.type("answer", first, "Refuse", "--reason", "Leave alice alone.", "--alike", "--json")
        answered = json.loads(done.stdout)["answered"]
        assert [item["id"] for item in answered] == [first, second]
        assert {(item["answer"]["option"], item["answer"]["text"]) for item in answered} == {
            ("Refuse", "Leave alice alone.")
        }
        await desk.team.until(lambda board: all(view.state.value == "refused" for view in board.messages.values()))
        assert (await desk.type("answer", second, "Refuse")).complained(1, "has its answer already: Refuse")


async def test_the_whole_team_begins_anew(at_work: AtWork) -> None:
    async with at_work(rest) as desk:
        await all_at_rest(desk)
        made = desk.team.host.made
        assert (await desk.type("reset", "alice", "--team", "--yes")).complained(2, "exclude each other")
        assert (await desk.type("reset", "--team")).complained(2, "cannot be undone", "--yes")
        await desk.type("pause", "bob")
        done = await desk.type("reset", "--team", "--yes", "--json")
        assert json.loads(done.stdout) == {"reset": ["alice"], "refused": {}}
        await desk.type("resume", "bob")
        done = await desk.type("reset", "--team", "-y")
        assert "bob gets a clean machine and begins anew\n" in done.stdout
        await desk.team.until(lambda board: desk.team.host.made >= made + 2)


@contextmanager
def following(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own: what it says is read as it comes."""
    command = [sys.executable, "-m", "app", "interrupts", "--follow", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def test_questions_are_followed_until_the_run_ends(story: Story) -> None:
    story.start()
    asked_before = story.ask("dev-agent", "Which colour?")
    with following("--json") as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["id"] == asked_before
        asked_now = story.ask("test-agent", "May I?", options=("Yes", "No"), kind=InterruptKind.APPROVAL)
        told = json.loads(running.stdout.readline())
        assert (told["id"], told["options"]) == (asked_now, ["Yes", "No"])
        story.end()
        assert running.stdout.read() == ""
        assert running.wait(30) == 0


def test_followed_questions_say_how_to_answer(story: Story) -> None:
    story.start()
    question = story.ask("dev-agent", "Which colour?")
    with following() as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith(f"? Which colour?  ({question}")
        story.end()
        assert f"skerry answer {question}" in running.stdout.read()


def test_following_is_for_all_of_the_newest_run(story: Story, skerry: Skerry) -> None:
    story.start()
    question = story.ask("dev-agent", "Which colour?")
    assert skerry("interrupts", question, "--follow").complained(2, "all of the newest run", "leave ID and --run")
