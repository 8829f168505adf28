"""A conversation that Skerry itself holds with a model: what was said, called and done, the same for every API."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.errors import RuntimeFailure

SESSION_PREFIX: Final = "loop-"
"""How the id of a conversation begins that is held here, and not by a program in the machine."""
INTERRUPTED: Final = "[skerry] interrupted:"
"""How the result of a call begins that a crash cut: it may or may not have had its effect."""
GO_ON_SHORTER: Final = (
    "[skerry] Your answer was cut at the limit of its length. Go on where it stopped; what was not whole was not done."
)
SUMMARISE: Final = (
    "Summarize this conversation for yourself: you go on from the summary alone. Say what the task is, what is done, "
    "what was found out and decided (names of files, commands, message ids), and what is to be done next. Call no tool."
)
SUMMARISED: Final = "[skerry] Your conversation had become too long. This is your own summary of it:"

Stop = Literal["tools", "end", "length", "refusal", "paused"]
"""Why a reply ended. ``paused``: the provider wants to be asked again as it is."""


class ContextOverflow(RuntimeFailure):
    """The conversation is longer than the model can read."""

    code = "context_overflow"
    retryable = False


class ModelRefused(RuntimeFailure):
    """The provider does not serve such a request, now or later: no such model, no right, not understood."""

    code = "model_refused"
    retryable = False


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Told(_Part):
    """What the model was told: a prompt, or a summary of all before."""

    text: str


class LoopCall(_Part):
    """A tool call of the model; ``arguments`` is the text it gave, JSON if all is well."""

    id: str
    name: str
    arguments: str = "{}"


class LoopReply(_Part):
    """One answer of the model. ``native`` is its content in the words of ``api``, to be given back unchanged."""

    api: str
    text: str = ""
    calls: tuple[LoopCall, ...] = ()
    stop: Stop = "end"
    native: tuple[dict[str, Any], ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0


class LoopOutcome(_Part):
    """What came of a call. ``bad``: the call itself was wrong, nothing was tried."""

    id: str
    name: str
    text: str
    ok: bool = True
    bad: bool = False
    exit_status: int | None = None


LoopItem = Told | LoopReply | LoopOutcome


@dataclass(frozen=True, slots=True)
class LoopTool:
    """A tool as a model is told of it; ``parameters`` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelAsk:
    """One model call. ``thread`` names the conversation, for the provider's cache of prompts."""

    thread: str
    items: Sequence[LoopItem]
    tools: Sequence[LoopTool]
    may_call: bool = True
    taken: Collection[str] = ()
    """Ids of earlier calls: a new one must have another."""
    mark: str = ""
    """What makes the ids unlike others that have to be made up."""


class Standing(BaseModel):
    """Where a turn stands by what is kept of it: how many replies there are, and what is still to be done."""

    model_config = ConfigDict(frozen=True)

    step: int = 0
    open: tuple[LoopCall, ...] = ()
    """Calls of the last reply that nothing came of yet."""
    over: bool = False
    reply: LoopReply | None = None
    cut: int = Field(default=0)
    """How many of the last replies in a row were cut at the limit of their length."""
    bad: int = 0
    """In how many of the last replies in a row every call was wrong."""
    input_tokens: int = 0
    output_tokens: int = 0


_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""As Anthropic has it; what OpenAI and local servers give fits."""
MAX_CUTS: Final = 3
"""Replies in a row that are cut at the limit of their length; then the turn ends."""
MAX_BAD: Final = 5
"""Replies in a row in which every call was wrong; then the agent fails."""
MAX_CALLS: Final = 32
"""Calls of one reply that are carried out."""


def standing(replies: Sequence[LoopReply], outcomes: Mapping[tuple[int, str], LoopOutcome]) -> Standing:
    """Where a turn stands; ``outcomes`` by (number of the reply, from 1, and id of the call)."""
    if not replies:
        return Standing()
    last, step = replies[-1], len(replies)
    cut = _in_a_row([reply.stop == "length" for reply in replies])
    open_calls = tuple(call for call in last.calls if (step, call.id) not in outcomes)
    answered = replies[:-1] if open_calls else replies
    bad = _in_a_row([_all_bad(number, reply, outcomes) for number, reply in enumerate(answered, start=1)])
    goes_on = bool(last.calls) or last.stop == "paused" or (last.stop == "length" and cut < MAX_CUTS)
    return Standing(
        step=step,
        open=open_calls,
        over=not goes_on,
        reply=last,
        cut=cut,
        bad=bad,
        input_tokens=sum(reply.input_tokens for reply in replies),
        output_tokens=sum(reply.output_tokens for reply in replies),
    )


def _in_a_row(marks: Sequence[bool]) -> int:
    count = 0
    for mark in reversed(marks):
        if not mark:
            break
        count += 1
    return count


def _all_bad(number: int, reply: LoopReply, outcomes: Mapping[tuple[int, str], LoopOutcome]) -> bool:
    found = [outcomes.get((number, call.id)) for call in reply.calls]
    return bool(found) and all(outcome is not None and outcome.bad for outcome in found)


def own_id(given: str | None, ask: ModelAsk, number: int) -> str:
    """The id a call gets: its own, unless it has none that can be used, or one that an earlier call had."""
    if given and _CALL_ID.fullmatch(given) and given not in ask.taken:
        return given
    return f"call_{ask.mark}_{number}"


def read_arguments(call: LoopCall) -> dict[str, Any] | None:
    """The arguments as an object; None when they are none."""
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def command_text(output: str, exit_status: int | None) -> str:
    """What a model is told of a command that has ended."""
    return f"Exit code: {'none' if exit_status is None else exit_status}\nOutput:\n{output}"
