"""The scripted model's decisions: the next move is a function of script and conversation, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.gateway.conditions import captured, fill, holds
from app.gateway.conversation import Conversation
from app.gateway.progress import COMMAND, Done, Progress, call_id, summary
from app.gateway.scenario import Scenario, Script, Step, ToolCall, Usage

MAX_ATTEMPTS = 3
"""Of one call that crashes cut again and again."""
MAX_POLLS = 60
"""Of one command that does not end; about half an hour."""
FINISH = "finish"


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a shell command in the agent's machine."""

    call_id: str
    command: str


@dataclass(frozen=True, slots=True)
class KeepWaiting:
    """Wait on for a command that is still running."""

    call_id: str
    session: int


@dataclass(frozen=True, slots=True)
class UseTool:
    """Call one of the agent's tools."""

    call_id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WrongCall:
    """A call with arguments that are no JSON, or of a tool that there is not."""

    call_id: str
    tool: str
    arguments: str


Action = RunCommand | KeepWaiting | UseTool | WrongCall
Ending = Literal["", "refusal", "length"]


@dataclass(frozen=True, slots=True)
class Move:
    """One answer of the model; without actions it ends the turn."""

    say: str = ""
    thought: str = ""
    actions: tuple[Action, ...] = ()
    think_seconds: float = 0.0
    ending: Ending = ""
    """How it ends, when not by itself."""
    usage: Usage | None = None
    """The counts of tokens to tell instead of those that are counted."""
    step: str = field(default="", compare=False)
    """The step of the script that this is."""


class Player:
    """Plays one agent's script."""

    def __init__(self, scenario: Scenario, script: Script, names: Mapping[str, str]) -> None:
        """``names`` are the values of scenario.BUILT_IN."""
        self._scenario = scenario
        self._script = script
        texts = {name: scenario.text(name) or "" for name in scenario.texts}
        self._names = {**texts, **names}
        self._words = {fill(step.say, self._names): step.id for step in script.steps if step.words_only}

    def progress(self, conversation: Conversation) -> Progress:
        """How far the conversation has come."""
        return Progress(self._script, conversation, self._words)

    def summary(self, conversation: Conversation) -> str:
        """What to keep of a conversation that is about to be thrown away (compaction)."""
        return summary(self._script, self.progress(conversation))

    def next_move(self, conversation: Conversation) -> Move:
        """What the model answers now."""
        progress = self.progress(conversation)
        if _resumed_after_its_end(conversation, progress):
            return Move("I go on when there is something new.")
        position = progress.position
        if position >= 0:
            names = self._filled(position, conversation)
            actions = tuple(_unfinished(self._script.steps[position], progress, names))
            if actions:
                return Move(actions=actions)
        return self._onward(position + 1, conversation, progress)

    def _onward(self, begin: int, conversation: Conversation, progress: Progress) -> Move:
        for index in range(begin, len(self._script.steps)):
            step = self._script.steps[index]
            names = self._filled(index, conversation)
            ready = step.when is None or holds(step.when, conversation, progress)
            if ready and names.keys() >= step.capture.keys():
                return self._perform(step, names, conversation)
            if step.otherwise == "wait":
                return Move(fill(step.waiting or self._script.waiting, names))
        return self._end(conversation, progress)

    def _filled(self, index: int, conversation: Conversation) -> dict[str, str]:
        """All names the texts of the step at ``index`` may hold."""
        values = captured(self._script.steps[: index + 1], conversation)
        return self._names | {name: value for name, value in values.items() if value is not None}

    def _perform(self, step: Step, names: Mapping[str, str], conversation: Conversation) -> Move:
        missing = _missing(step, conversation)
        if missing:
            return Move(f"I cannot go on with {step.id}: {missing} is not offered to me.")
        actions = tuple(_first_tries(step, names))
        seconds = self._scenario.think_seconds if step.think_seconds is None else step.think_seconds
        words, thought = fill(step.say, names), fill(step.thought, names)
        return Move(words, thought, actions, seconds, usage=step.usage, step=step.id)

    def _end(self, conversation: Conversation, progress: Progress) -> Move:
        """The script is over. Woken after that, the agent says again that it has finished."""
        last = self._script.steps[progress.position]
        for number, call in _numbered(last):
            before = progress.calls(last.id).get(number)
            if call.tool == FINISH and before is not None and before.place < conversation.last_prompt(resumed=False):
                again = call_id(last.id, number, before.attempt + 1)
                return Move(actions=(UseTool(again, FINISH, _parsed(before.arguments)),))
        return Move(self._script.done)


def _numbered(step: Step) -> Iterator[tuple[int, ToolCall]]:
    return enumerate(step.calls, start=COMMAND + 1)


def _first_tries(step: Step, names: Mapping[str, str], without: Collection[int] = ()) -> Iterator[Action]:
    if step.run and COMMAND not in without:
        yield RunCommand(call_id(step.id, COMMAND, 1), fill(step.run, names))
    for number, call in _numbered(step):
        if number not in without:
            yield UseTool(call_id(step.id, number, 1), call.tool, fill(call.arguments, names))


def _unfinished(step: Step, progress: Progress, names: Mapping[str, str]) -> Iterator[Action]:
    """What must still be done of the step that was begun last: wait on, mend what a crash cut, do what it left out."""
    done = progress.calls(step.id)
    if not done:
        return
    yield from _first_tries(step, names, without=done.keys())
    if (command := done.get(COMMAND)) is not None:
        yield from _wait_or_mend(step, command, names)
    for number, call in _numbered(step):
        before = done.get(number)
        cut = before is not None and before.outcome.interrupted and step.interrupted != "skip"
        if before is not None and cut and before.attempt < MAX_ATTEMPTS:
            # The very same arguments: the host knows by them that it is the same call.
            yield UseTool(call_id(step.id, number, before.attempt + 1), call.tool, _parsed(before.arguments))


def _wait_or_mend(step: Step, command: Done, names: Mapping[str, str]) -> Iterator[Action]:
    outcome = command.outcome
    if outcome.interrupted:
        again = step.recover or (step.run if step.interrupted == "repeat" else "")
        if again and command.attempt < MAX_ATTEMPTS:
            yield RunCommand(call_id(step.id, COMMAND, command.attempt + 1), fill(again, names))
    elif outcome.session is not None and command.polls < MAX_POLLS:
        yield KeepWaiting(call_id(step.id, COMMAND, command.polls + 1, "poll"), outcome.session)


def _missing(step: Step, conversation: Conversation) -> str:
    toolbox = conversation.toolbox
    if step.run and toolbox.shell is None:
        return "a tool to run commands"
    return next((f"the tool {call.tool}" for call in step.calls if call.tool not in toolbox.tools), "")


def _resumed_after_its_end(conversation: Conversation, progress: Progress) -> bool:
    """Whether a crash came just after the model had ended the turn that is now resumed."""
    place = conversation.last_prompt()
    if place < 1 or place == conversation.last_prompt(resumed=False):
        return False
    return place == len(conversation.items) - 1 and progress.ended_turn == place - 1


def _parsed(arguments: str) -> Mapping[str, Any]:
    try:
        found = json.loads(arguments)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
