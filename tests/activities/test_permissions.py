"""What programs ask: answered by the rules, or by the user while the turn waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client

from app.activities.permissions import ALLOW_ONCE, ALWAYS, DENY
from app.config import Paths
from app.domain import events as ev
from app.domain.errors import RuntimeFailure
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, InterruptState
from app.domain.ports import PermissionAsked, PermissionGiven
from tests.team import Team, Turn

PROJECT = """
project: {name: demo}
agents:
  - {id: alice, type: codex, initial_instructions: Begin.}
"""
RULES = """\
---
commands:
  deny:
    - "rm -rf /*"
  ask: ["git push *"]
files: {read_only: ["tests/**"]}
---
# Rules
"""
OPTIONS = (("yes", "Yes", "allow_once"), ("ever", "Always", "allow_always"), ("no", "No", "reject_once"))


class Programme:
    """A script whose first turn asks for commands, one after the other; what was answered is kept."""

    def __init__(self, *commands: str) -> None:
        self.commands = commands
        self.given: list[PermissionGiven] = []
        self.go_on = asyncio.Event()

    async def __call__(self, turn: Turn) -> None:
        if turn.number == 1:
            for number, command in enumerate(self.commands):
                self.given.append(await turn.observer.permission(asked(command, f"c{number}")))

    @property
    def options(self) -> list[str | None]:
        return [item.option for item in self.given]


def asked(command: str, call_id: str = "c1", **more: object) -> PermissionAsked:
    return PermissionAsked(call_id=call_id, title=command, command=command, options=OPTIONS, **more)  # type: ignore[arg-type]


def rules(paths: Paths, text: str = RULES) -> Path:
    file = paths.state / "project/agents/alice/rules.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


async def test_rules_answer_at_once_and_every_answer_is_a_fact(paths: Paths, temporal: Client) -> None:
    rules(paths)
    play = Programme("ls -l", "cd x && sudo rm -rf /etc", "echo a > tests/b")
    async with Team(paths, temporal, play, text=PROJECT) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert play.options == ["yes", "no", "no"]
        facts = team.facts(ev.PermissionDecided)
    assert [(fact.command, fact.verdict, fact.rule) for fact in facts] == [
        ("ls -l", "allow", "approve: auto"),
        ("cd x && sudo rm -rf /etc", "deny", "commands.deny: rm -rf /*"),
        ("echo a > tests/b", "deny", "files.read_only: tests/**"),
    ]
    assert facts[1].place == "agents/alice/rules.md:4"
    assert "rm -rf /etc is denied by your rules (rule 'commands.deny: rm -rf /*' in agents/alice/rules.md:4)" in (
        play.given[1].told
    )


@pytest.mark.parametrize(
    ("answer", "option", "told"),
    [
        (Answer(option=ALLOW_ONCE), "yes", ""),
        (Answer(option=DENY, text="not on a Friday"), "no", "the user refused it: not on a Friday"),
        (Answer(action="modify", text="open a pull request"), "no", "the user refused it: open a pull request"),
    ],
)
async def test_what_is_asked_waits_for_the_user(
    paths: Paths, temporal: Client, answer: Answer, option: str, told: str
) -> None:
    rules(paths)
    play = Programme("git push origin main")
    async with Team(paths, temporal, play, text=PROJECT) as team:
        await team.start()
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.WAITING)
        assert board.agents["alice"].reason == 'approval to run "git push origin main"'
        (question,) = board.open_interrupts
        assert question.options == (ALLOW_ONCE, ALWAYS, DENY) and question.default == DENY
        assert "git push origin main needs an approval by your rules" in question.body
        assert play.given == []
        await team.control.answer(team.fleet, question.id, answer)
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert play.options == [option] and told in play.given[0].told
        (fact,) = team.facts(ev.PermissionDecided)
        assert (fact.interrupt, fact.by, fact.rule) == (question.id, "user", "commands.ask: git push *")
        assert len(team.turns) == 1, "the answer is no prompt"
        moved = [fact.state for fact in team.facts(ev.AgentMoved)]
    assert moved[1:4] == [AgentStatus.RUNNING, AgentStatus.WAITING, AgentStatus.RUNNING]


async def test_always_is_kept_in_a_file_that_people_edit(paths: Paths, temporal: Client) -> None:
    rules(paths)
    play = Programme("git push origin 'a b'", "git push origin 'a b'", "git push other")
    async with Team(paths, temporal, play, text=PROJECT) as team:
        await team.start()
        question = (await team.until(lambda board: bool(board.open_interrupts))).open_interrupts[0]
        await team.control.answer(team.fleet, question.id, Answer(option=ALWAYS))
        await team.until(lambda board: len(board.interrupts) == 2)
        file = team.project.root / "approvals.yaml"
        assert """commands:\n  alice:\n    - "git push origin 'a b'"\n""" in file.read_text()
        file.write_text("commands:\n  alice: ['git push *']\n")
        board = await team.until(lambda board: bool(board.open_interrupts))
        await team.control.answer(team.fleet, board.open_interrupts[0].id, Answer(option=ALLOW_ONCE))
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert play.options == ["yes"] * 3
        facts = team.facts(ev.PermissionDecided)
        assert [(fact.rule, bool(fact.interrupt)) for fact in facts][1] == ("approvals.yaml", False)
        now = team.roster[f"{team.fleet}/alice"].rules
        assert now.always() == ("git push *",)


async def test_rules_are_read_again_and_broken_ones_change_nothing(paths: Paths, temporal: Client) -> None:
    file = rules(paths)
    answers: list[str | None] = []

    async def play(turn: Turn) -> None:
        if turn.number != 1:
            return
        for text in (RULES, RULES.replace("rm -rf /*", "ls *"), "---\ncommands: {dney: [ls]}\n---\n", RULES):
            file.write_text(text)
            answers.append((await turn.observer.permission(asked("ls x"))).option)

    async with Team(paths, temporal, play, text=PROJECT) as team:
        await team.start()
        await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        told = [(fact.file, fact.problem) for fact in team.facts(ev.RulesReread)]
        (report,) = [fact.interrupt for fact in team.facts(ev.InterruptRaised)]
        assert report.title == "the rules of alice have mistakes: the last good ones stay in force"
        assert "unknown key 'dney'" in report.body
    assert answers == ["yes", "no", "no", "yes"]
    assert [name for name, _ in told] == ["agents/alice/rules.md"] * 3
    assert [bool(problem) for _, problem in told] == [False, True, False]
    assert "rules.md:2:12: commands.dney: unknown key 'dney'; did you mean 'deny'?" in told[1][1]


async def test_a_question_is_the_same_when_it_is_asked_again(paths: Paths, temporal: Client) -> None:
    """As after kill -9 of the engine: the turn's step is tried again while the question is open."""
    rules(paths)
    given: list[PermissionGiven] = []
    dying = asyncio.Event()

    async def play(turn: Turn) -> None:
        if turn.number != 1:
            return
        asking = asyncio.create_task(turn.observer.permission(asked("git push")))
        if len(team.turns) == 1:
            await dying.wait()
            asking.cancel()
            raise RuntimeFailure("the program has died", operation="run a turn")
        given.append(await asking)

    async with Team(paths, temporal, play, text=PROJECT) as team:
        await team.start()
        question = (await team.until(lambda board: bool(board.open_interrupts))).open_interrupts[0]
        dying.set()
        await team.until(lambda board: len(team.turns) == 2)
        assert given == []
        board = await team.until(lambda board: bool(board.open_interrupts))
        assert [item.id for item in board.interrupts.values()] == [question.id]
        await team.control.answer(team.fleet, question.id, Answer(option=ALLOW_ONCE))
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.IDLE)
        assert [item.option for item in given] == ["yes"]
        assert board.interrupts[question.id].state is InterruptState.ANSWERED


async def test_a_turn_that_ends_takes_its_questions_back(paths: Paths, temporal: Client) -> None:
    rules(paths)

    async def play(turn: Turn) -> None:
        if turn.number == 1:
            await turn.observer.permission(asked("git push"))

    async with Team(paths, temporal, play, text=PROJECT) as team:
        await team.start()
        question = (await team.until(lambda board: bool(board.open_interrupts))).open_interrupts[0]
        await team.control.stop_agent(team.fleet, "alice")
        board = await team.until(lambda board: board.agents["alice"].state is AgentStatus.STOPPED)
        assert board.interrupts[question.id].state is InterruptState.WITHDRAWN
        assert team.facts(ev.PermissionDecided) == []
