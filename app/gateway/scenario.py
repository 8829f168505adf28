"""The scenario file of a rehearsal: what each agent's scripted model says and does, and on what condition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from app.config.complaints import Complaint, ProjectInvalid
from app.config.marks import Marked, parse, show_path
from app.domain.actions import parse_action
from app.domain.errors import ActionRefused, ConfigError
from app.domain.loop_actions import parse_loop_action

TEMPLATE = re.compile(r"<<([a-z][a-z0-9_]*)>>")
"""``<<name>>`` in a text: a text of the scenario, a captured value, or one of BUILT_IN."""
BUILT_IN = frozenset({"agent", "fleet", "run"})
_UNKNOWN_KEY = "unknown key"
STEP_ID = r"[a-z][a-z0-9-]{0,39}"


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


Regex = Annotated[str, AfterValidator(_regex)]
"""Searched for, in multi-line mode: ^ and $ are the begin and end of a line."""
StepId = Annotated[str, Field(pattern=rf"^{STEP_ID}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Message(_Part):
    """A message the agent was given; all that is said must fit. Captured, its value is the message's id."""

    sender: str = Field(alias="from")
    subject: Regex = ""
    body: Regex = ""


Capture = Annotated[
    Annotated[Regex, Tag("text")] | Annotated[Message, Tag("message")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "message"),
]


class Seen(_Part):
    """Text in the prompts or the tool outputs; ``since`` a step: only after that step."""

    matches: Regex
    by: Literal["prompts", "outputs", "all"] = "all"
    since: StepId | None = None


class Output(_Part):
    """Text in the output of a step's command or call."""

    of: StepId
    matches: Regex


class Exit(_Part):
    """How a step's command ended. An interrupted one has no status: it is ``not`` anything."""

    of: StepId
    status: int | None = None
    unlike: int | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.status is None) == (self.unlike is None):
            raise ValueError("say either 'status' or 'not'")
        return self


class Condition(_Part):
    """Exactly one of these."""

    seen: Seen | None = None
    message: Message | None = None
    output: Output | None = None
    exit: Exit | None = None
    interrupted: StepId | None = None
    unless: Condition | None = Field(default=None, alias="not")
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("say exactly one of seen, message, output, exit, interrupted, not, all, any")
        return self


class ToolCall(_Part):
    """A call of one of the agent's tools: of ours, or one that its program brings (``AskUserQuestion``)."""

    tool: str
    arguments: Mapping[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.tool[:1].isupper():  # ours are in small letters; whether the program has it, the conversation tells
            return self
        try:
            if parse_loop_action(self.tool, self.arguments) is None:
                parse_action(self.tool, self.arguments)
        except ActionRefused as error:
            raise ValueError(str(error)) from None
        return self


class Usage(_Part):
    """The counts of tokens that the model tells of an answer; ``cached`` is part of ``input``."""

    input: int = Field(ge=0)
    output: int = Field(default=0, ge=0)
    cached: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _part_of_it(self) -> Self:
        if self.cached > self.input:
            raise ValueError("'cached' is part of 'input'")
        return self


class Step(_Part):
    """One answer of the model: words, a command, tool calls. One with words alone ends the turn."""

    id: StepId
    when: Condition | None = None
    otherwise: Literal["wait", "skip"] = Field(default="wait", alias="else")
    """When the condition does not hold (or a capture is not found): end the turn and look again, or leave it out."""
    waiting: str = ""
    """What is said while it waits."""
    capture: Mapping[Name, Capture] = Field(default_factory=dict)
    """Values for ``<<name>>`` here and later: the regex's first group (or all of it), or a message's id; the latest."""
    thought: str = ""
    say: str = ""
    run: str = ""
    recover: str = ""
    """The command to run instead when a crash cut ``run``: it must be safe whatever ``run`` had done."""
    calls: tuple[ToolCall, ...] = ()
    interrupted: Literal["skip", "repeat"] | None = None
    """What becomes of a cut call; by default tool calls are repeated (they are idempotent), commands are not."""
    think_seconds: float | None = Field(default=None, ge=0, le=60)
    usage: Usage | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.say or self.run or self.calls):
            raise ValueError("a step needs one of say, run, calls")
        if self.recover and not self.run:
            raise ValueError("'recover' stands in for 'run', which is missing")
        return self

    @property
    def words_only(self) -> bool:
        """Whether it ends the turn."""
        return not self.run and not self.calls


class Trouble(_Part):
    """The model misbehaves: ``times`` requests whose answer would be the step ``at`` get this instead."""

    at: StepId
    does: Literal["error", "half", "malformed", "unknown_tool", "refusal", "length", "overflow"] = "error"
    """Answer with ``status``; break off in the middle; give arguments that are no JSON; call what is not there; refuse;
    be cut at the limit of its length; say that the conversation is too long."""
    status: Literal[429, 500, 502, 503, 529] = 503
    times: int = Field(default=1, ge=1, le=10_000)
    resets_in: float | None = Field(default=None, ge=0, le=86_400)
    """Seconds; of a 429: then the limit of use is over."""
    retry_after: float | None = Field(default=None, ge=0, le=60)
    """Seconds; of a 429: no limit of use, but one of the rate, which the programs wait for themselves."""


class Script(_Part):
    """One agent's part."""

    waiting: str = "I wait for a message."
    done: str = "My part is done."
    troubles: tuple[Trouble, ...] = ()
    steps: tuple[Step, ...] = Field(min_length=1)


class Scenario(_Part):
    """A rehearsal: the parts of all agents that are in it."""

    version: Literal[1] = 1
    title: str
    description: str = ""
    think_seconds: float = Field(default=0.05, ge=0, le=60)
    texts: Mapping[Name, str] = Field(default_factory=dict)
    agents: Mapping[str, Script] = Field(min_length=1)

    def text(self, name: str) -> str | None:
        """A text of the scenario, the texts named in it filled in (once: they cannot nest further)."""
        found = self.texts.get(name)
        return found if found is None else TEMPLATE.sub(lambda match: self.texts.get(match[1], match[0]), found)


def load_scenario(file: Path) -> Scenario:
    """The scenario in a YAML file. Raises ConfigError with file, line and column of every mistake."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", operation="load rehearsal") from None
    marked = parse(raw, file)
    try:
        scenario = Scenario.model_validate(marked.data)
    except ValidationError as error:
        found = [(detail["loc"], _words(detail)) for detail in error.errors(include_url=False)]
        # A list with a wrong item is told of twice: as wrong, and as too short without the item.
        own = [
            (loc, message) for loc, message in found if not any(loc == other[: len(loc)] != other for other, _ in found)
        ]
        raise ProjectInvalid([_complaint(loc, message, marked, file) for loc, message in own]) from None
    complaints = [_complaint(loc, message, marked, file) for loc, message in _mistakes(scenario)]
    if complaints:
        raise ProjectInvalid(complaints)
    return scenario


def script_for(scenario: Scenario, agent: str, file: Path) -> Script:
    """The agent's part. Raises ConfigError when it has none."""
    script = scenario.agents.get(agent)
    if script is None:
        parts = ", ".join(scenario.agents)
        raise ConfigError(
            f"{file}: the rehearsal has no part for {agent}",
            operation="load rehearsal",
            hint=f"it has parts for: {parts}",
        )
    return script


Place = tuple[str | int, ...]


def _mistakes(scenario: Scenario) -> Iterator[tuple[Place, str]]:
    for agent, script in scenario.agents.items():
        known = set(scenario.texts) | BUILT_IN
        ids: set[str] = set()
        words: set[str] = set()
        for index, step in enumerate(script.steps):
            here: Place = ("agents", agent, "steps", index)
            fixed = frozenset(known) - {name for earlier in script.steps[:index] for name in earlier.capture}
            known |= set(step.capture)
            if step.id in ids:
                yield (*here, "id"), f"the step {step.id!r} is there twice"
            for field, name in _unknown(step, known):
                yield (*here, field), f"<<{name}>> is no text, capture or one of {', '.join(sorted(BUILT_IN))}"
            for of in _references(step.when):
                if of not in ids:
                    yield (*here, "when"), f"no step {of!r} comes before this one"
            if step.words_only:
                if step.say in words or not fixed.issuperset(TEMPLATE.findall(step.say)):
                    yield (*here, "say"), "words that end a turn must be the same each time, and in no other such step"
                words.add(step.say)
            ids.add(step.id)
        for index, trouble in enumerate(script.troubles):
            if trouble.at not in ids:
                yield ("agents", agent, "troubles", index, "at"), f"there is no step {trouble.at!r}"


def _unknown(step: Step, known: set[str]) -> Iterator[tuple[str, str]]:
    texts = {"say": step.say, "waiting": step.waiting, "run": step.run, "recover": step.recover}
    found = [(field, name) for field, text in texts.items() for name in TEMPLATE.findall(text)]
    found += [
        ("calls", name) for call in step.calls for text in strings(call.arguments) for name in TEMPLATE.findall(text)
    ]
    return ((field, name) for field, name in found if name not in known)


def strings(value: Any) -> Iterator[str]:
    """All texts within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings(part)


def _references(condition: Condition | None) -> Iterator[str]:
    if condition is None:
        return
    parts = (condition.output and condition.output.of, condition.exit and condition.exit.of, condition.interrupted)
    yield from (part for part in (*parts, condition.seen and condition.seen.since) if part)
    for inner in (condition.unless, *condition.all, *condition.any):
        yield from _references(inner)


def _complaint(loc: Place, message: str, marked: Marked, file: Path) -> Complaint:
    mark = marked.at(loc, key=message == _UNKNOWN_KEY)
    return Complaint(file, mark.line, mark.column, show_path(loc), message)


def _words(detail: ErrorDetails) -> str:
    return _UNKNOWN_KEY if detail["type"] == "extra_forbidden" else detail["msg"].removeprefix("Value error, ")
