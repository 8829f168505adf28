"""Which steps of a script a conversation has gone through: read from the ids of its calls, kept nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.gateway.conversation import Call, Conversation, Outcome, Prompt, Words
from app.gateway.scenario import STEP_ID, Script, Step

_CALL_ID = re.compile(rf"(call|poll)_({STEP_ID})_(\d{{1,3}})_(\d{{1,3}})")
_SUMMARY = re.compile(r"^\[rehearsal\] done: ([a-z0-9, -]*)$", re.M)
COMMAND = 1
"""The number of a step's command; its tool calls have the numbers after it."""


def call_id(step: str, number: int, attempt: int, kind: str = "call") -> str:
    """The id of a call: it says which step it belongs to, and survives in the conversation."""
    return f"{kind}_{step}_{number}_{attempt}"


@dataclass(frozen=True, slots=True)
class Done:
    """The latest try of one call of a step, its polls folded in."""

    attempt: int
    arguments: str
    outcome: Outcome
    polls: int = 0
    place: int = 0


class Progress:
    """How far a conversation has come in a script."""

    def __init__(self, script: Script, conversation: Conversation, words: Mapping[str, str]) -> None:
        """``words`` maps the full text of each step that ends a turn to its id."""
        self._order = {step.id: index for index, step in enumerate(script.steps)}
        self._calls: dict[str, dict[int, Done]] = {}
        self._places: dict[str, int] = {}
        self.ended_turn = -1
        """Where the model last ended a turn by words of a step."""
        for place, item in enumerate(conversation.items):
            match item:
                case Call():
                    self._called(item, place)
                case Outcome():
                    self._returned(item, place)
                case Words(text) if text in words:
                    self._mark(words[text], place)
                    self.ended_turn = place
                case Prompt(text):
                    self._summary(text, place)

    @property
    def position(self) -> int:
        """Index of the latest step that was begun; -1 before the first."""
        return max((self._order[step] for step in self._places), default=-1)

    def calls(self, step: str) -> Mapping[int, Done]:
        """What came of the step's calls, by their number."""
        return self._calls.get(step, {})

    def place(self, step: str) -> int:
        """Where in the conversation the step was last at work; -1 if it was not."""
        return self._places.get(step, -1)

    def outcomes(self, step: str) -> list[Outcome]:
        """What came of the step's calls."""
        return [done.outcome for done in self.calls(step).values()]

    def begun(self, steps: tuple[Step, ...]) -> list[str]:
        """The ids of the steps that were begun, in order."""
        return [step.id for step in steps if step.id in self._places]

    def _mark(self, step: str, place: int) -> None:
        self._places[step] = place

    def _called(self, call: Call, place: int) -> None:
        found = self._parse(call.call_id)
        if found is None:
            return
        kind, step, number, attempt = found
        self._mark(step, place)
        calls = self._calls.setdefault(step, {})
        if kind == "poll" and number in calls:
            calls[number] = replace(calls[number], polls=calls[number].polls + 1, place=place)
        elif kind == "call":
            lost = Outcome(call.call_id, "", interrupted=True)
            calls[number] = Done(attempt, call.arguments, lost, place=place)

    def _returned(self, outcome: Outcome, place: int) -> None:
        found = self._parse(outcome.call_id)
        if found is None:
            return
        kind, step, number, _ = found
        done = self.calls(step).get(number)
        if done is None:
            return
        self._mark(step, place)
        if kind == "poll":
            outcome = replace(outcome, text=done.outcome.text + outcome.text)
        self._calls[step][number] = replace(done, outcome=outcome, place=place)

    def _summary(self, text: str, place: int) -> None:
        for listed in _SUMMARY.findall(text):
            for step in listed.split(", "):
                if step in self._order:
                    self._places.setdefault(step, place)

    def _parse(self, text: str) -> tuple[str, str, int, int] | None:
        match = _CALL_ID.fullmatch(text)
        if match is None or match[2] not in self._order:
            return None
        return match[1], match[2], int(match[3]), int(match[4])


def summary(script: Script, progress: Progress) -> str:
    """A line that stands for a conversation which is thrown away: a later one that holds it goes on from there."""
    return f"[rehearsal] done: {', '.join(progress.begun(script.steps))}"
