"""The scripted model's decisions: a function of the conversation, whatever crashed in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gateway.conversation import RESUMED, Call, Conversation, Item, Outcome, Prompt, ShellTool, Toolbox, Words
from app.gateway.progress import call_id
from app.gateway.rehearsal import KeepWaiting, Move, Player, RunCommand, UseTool
from app.gateway.scenario import load_scenario

SCENARIO = r"""
title: T
think_seconds: 0
texts:
  name: world
  greeting: Hello <<name>>
agents:
  a:
    waiting: I wait.
    done: Over.
    steps:
      - id: build
        when: {message: {from: boss, body: "^Build"}}
        capture:
          order: {from: boss}
          what: '^Build (\w+)'
        thought: Hm.
        say: Building <<what>>.
        run: make <<what>> && echo <<greeting>>
        recover: make again
        calls:
          - {tool: memory_append, arguments: {text: "building <<what>> for <<run>>"}}
      - id: failed
        when: {exit: {of: build, not: 0}}
        else: skip
        calls: [{tool: request_debug, arguments: {problem: broken}}]
      - id: built
        when: {all: [{exit: {of: build, status: 0}}, {not: {output: {of: build, matches: "^warning"}}}]}
        else: skip
        calls: [{tool: reply, arguments: {message_id: <<order>>, body: built}}]
      - id: rest
        say: I have told the boss.
      - id: check
        when: {any: [{seen: {matches: "^Check", by: prompts, since: rest}}, {interrupted: build}]}
        run: make check
      - id: bye
        calls: [{tool: finish, arguments: {summary: done}}]
"""
TOOLBOX = Toolbox(
    ShellTool("exec_command", "exec_command"),
    {name: (name, "mcp__skerry") for name in ("memory_append", "request_debug", "reply", "finish")},
)
BUILD = Prompt("Message m-00aa from boss — Work\n\nBuild castle\n")
NOTE = Outcome("call_build_2_1", "noted")


@pytest.fixture
def player(tmp_path: Path) -> Player:
    file = tmp_path / "s.yaml"
    file.write_text(SCENARIO)
    scenario = load_scenario(file)
    return Player(scenario, scenario.agents["a"], {"agent": "a", "fleet": "f", "run": "r1"})


def move(player: Player, *items: Item, toolbox: Toolbox = TOOLBOX) -> Move:
    return player.next_move(Conversation(items, toolbox))


def begun(player: Player) -> list[Item]:
    return [BUILD, Words("Building castle."), Call("call_build_1_1"), Call("call_build_2_1", '{"text": "n"}')]


def ended(status: int | None = 0, **more: object) -> Outcome:
    return Outcome("call_build_1_1", "log\n", exit_status=status, **more)  # type: ignore[arg-type]


def test_it_waits_until_the_condition_holds(player: Player) -> None:
    assert move(player, Prompt("Begin.")) == Move("I wait.")
    assert move(player, Prompt("Begin."), Words("I wait."), Prompt("Build it")) == Move("I wait.")


def test_a_step_is_filled_in_and_done_in_one_answer(player: Player) -> None:
    assert move(player, Prompt("Begin."), Words("I wait."), BUILD) == Move(
        "Building castle.",
        "Hm.",
        (
            RunCommand("call_build_1_1", "make castle && echo Hello world"),
            UseTool("call_build_2_1", "memory_append", {"text": "building castle for r1"}),
        ),
    )


def test_what_is_filled_in_is_not_looked_at_again(player: Player) -> None:
    made = move(player, Prompt("Message m-00aa from boss — Work\n\nBuild castle\n<<greeting>>"))
    assert made.actions[0] == RunCommand("call_build_1_1", "make castle && echo Hello world")


@pytest.mark.parametrize(
    ("status", "output", "expected"),
    [
        (1, "error", UseTool("call_failed_2_1", "request_debug", {"problem": "broken"})),
        (0, "fine", UseTool("call_built_2_1", "reply", {"message_id": "m-00aa", "body": "built"})),
        (0, "warning: old", None),
    ],
)
def test_it_branches_on_real_results(player: Player, status: int, output: str, expected: UseTool | None) -> None:
    made = move(player, *begun(player), Outcome("call_build_1_1", output, exit_status=status), NOTE)
    assert made.actions == ((expected,) if expected else ())
    assert made.say == ("" if expected else "I have told the boss.")


def test_a_step_left_out_is_not_taken_up_later(player: Player) -> None:
    items = [
        *begun(player),
        ended(),
        NOTE,
        Words("I have told the boss."),
        Prompt("Message m-0b from boss\n\nBuild hut"),
    ]
    assert move(player, *items) == Move("I wait.")


def test_a_running_command_is_waited_for(player: Player) -> None:
    items = [*begun(player), ended(None, session=7), NOTE]
    first = move(player, *items)
    assert first.actions == (KeepWaiting("poll_build_1_1", 7),)
    items += [Call("poll_build_1_1"), Outcome("poll_build_1_1", "more\n", session=7)]
    assert move(player, *items).actions == (KeepWaiting("poll_build_1_2", 7),)
    items += [Call("poll_build_1_2"), Outcome("poll_build_1_2", "warning: late\n", exit_status=0)]
    assert move(player, *items).say == "I have told the boss."


def test_an_interrupted_command_is_recovered_not_repeated(player: Player) -> None:
    items = [*begun(player), ended(None, interrupted=True), NOTE, Prompt(f"{RESUMED} go on")]
    assert move(player, *items).actions == (RunCommand("call_build_1_2", "make again"),)
    items += [Call("call_build_1_2"), Outcome("call_build_1_2", "", exit_status=0)]
    assert move(player, *items).actions[0] == UseTool(
        "call_built_2_1", "reply", {"message_id": "m-00aa", "body": "built"}
    )


def test_an_interrupted_tool_call_is_repeated_with_the_same_arguments(player: Player) -> None:
    cut = Outcome("call_build_2_1", "", interrupted=True)
    items = [*begun(player), ended(), cut, Prompt(f"{RESUMED} go on")]
    assert move(player, *items).actions == (UseTool("call_build_2_2", "memory_append", {"text": "n"}),)


def test_a_call_without_any_output_was_interrupted(player: Player) -> None:
    made = move(player, *begun(player), Prompt(f"{RESUMED} go on"))
    assert [action.call_id for action in made.actions] == ["call_build_1_2", "call_build_2_2"]


def test_what_an_answer_cut_short_left_out_is_done(player: Player) -> None:
    made = move(player, BUILD, Call("call_build_1_1"), ended(), Prompt(f"{RESUMED} go on"))
    assert made.actions == (UseTool("call_build_2_1", "memory_append", {"text": "building castle for r1"}),)


def test_it_gives_up_on_a_call_that_is_cut_again_and_again(player: Player) -> None:
    items = [*begun(player), ended(), NOTE]
    for attempt in (1, 2, 3):
        made = call_id("build", 1, attempt)
        items += [Call(made), Outcome(made, "", interrupted=True)]
    assert move(player, *items).actions[0] == UseTool("call_failed_2_1", "request_debug", {"problem": "broken"})


def test_a_turn_that_had_ended_is_not_gone_on_with(player: Player) -> None:
    items = [*begun(player), ended(1), NOTE, Call("call_failed_2_1"), Outcome("call_failed_2_1", "ok")]
    told = [*items, Words("I have told the boss.")]
    assert move(player, *told, Prompt(f"{RESUMED} go on")) == Move("I go on when there is something new.")
    assert move(player, *told, Prompt("Check it")).actions == (RunCommand("call_check_1_1", "make check"),)
    assert move(player, *items, Prompt(f"{RESUMED} go on")).say == "I have told the boss."


def test_words_of_a_step_that_was_not_begun_are_no_end(player: Player) -> None:
    made = move(player, BUILD, Words("Building castle."), Prompt(f"{RESUMED} go on"))
    assert len(made.actions) == 2


def test_it_finishes_again_when_it_is_woken_after_the_end(player: Player) -> None:
    end: list[Item] = [BUILD, Call("call_bye_2_1", '{"summary": "s"}'), Outcome("call_bye_2_1", "ok")]
    assert move(player, *end) == Move("Over.")
    assert move(player, *end, Words("Over."), Prompt(f"{RESUMED} go on")) == Move("Over.")
    woken = move(player, *end, Words("Over."), Prompt("Thanks!"))
    assert woken.actions == (UseTool("call_bye_2_2", "finish", {"summary": "s"}),)


def test_after_compaction_it_goes_on_where_it_was(player: Player) -> None:
    conversation = Conversation((*begun(player), ended(), NOTE, Words("I have told the boss.")), TOOLBOX)
    line = player.summary(conversation)
    assert line == "[rehearsal] done: build, rest"
    assert move(player, BUILD, Prompt(f"Summary:\n{line}\n"), Prompt("hello")) == Move("I wait.")


def test_without_its_tools_it_says_so(player: Player) -> None:
    assert "a tool to run commands" in move(player, BUILD, toolbox=Toolbox()).say
    assert "memory_append" in move(player, BUILD, toolbox=Toolbox(TOOLBOX.shell)).say


def test_calls_of_others_are_not_taken_for_steps(player: Player) -> None:
    strange: list[Item] = [
        Call("call_9"),
        Outcome("call_9", "x"),
        Call("call_nowhere_1_1"),
        Outcome("call_build_1_1", "no call"),
    ]
    assert move(player, BUILD, *strange).say == "Building castle."


@pytest.mark.parametrize(
    "text",
    [
        "Message m-00aa from boss — Work\n\nBuild x",
        "**Message m-00aa** from boss: Work\nBuild x",
        "## Message m-00aa from boss\nBuild x",
        "You have mail.\n\nMessage m-0001 from other — X\n\nBuild nothing\n\nMessage m-00aa from boss — Y\n\nBuild x",
    ],
)
def test_messages_are_found_in_prompts(player: Player, text: str) -> None:
    assert move(player, Prompt(text)).say == "Building x."
