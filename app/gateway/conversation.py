"""A conversation between a harness and its model, in words of our own: the same for every API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Literal

RESUMED = "[skerry] resumed:"
"""How a prompt begins that continues a turn which a crash had cut."""
_UNDER_WAY = re.compile(r"^- ([\w-]+): ", re.M)
"""A tool call that had begun, in such a prompt."""
_HEADER = re.compile(
    r"^[#>* \t]*Message (m-[0-9a-f]+)\*{0,2} from ([a-z][a-z0-9-]*)\*{0,2}[ \t]*(?:[\u2013\u2014:-][ \t]*(.*))?$", re.M
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the user, or the host for others, told the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """What the model said."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """What the model called; ``arguments`` is the JSON text it gave."""

    call_id: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call. ``session`` is set while a command goes on running."""

    call_id: str
    text: str
    exit_status: int | None = None
    session: int | None = None
    interrupted: bool = False


Item = Prompt | Words | Call | Outcome


@dataclass(frozen=True, slots=True)
class ShellTool:
    """The tool that runs commands: its name and which of the known shapes its arguments have."""

    name: str
    shape: Literal["exec_command", "command_text", "command_list", "run_command"]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the harness offers in a request: its shell, and the tools of MCP servers by their own names."""

    shell: ShellTool | None = None
    tools: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    """Our tool's name -> the name to call it by, and the namespace if the API has such."""


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """A message as the agent was shown it."""

    id: str
    sender: str
    subject: str
    body: str


@dataclass(frozen=True)
class Conversation:
    """All that was said and done so far, oldest first."""

    items: tuple[Item, ...] = ()
    toolbox: Toolbox = field(default_factory=Toolbox)

    @cached_property
    def messages(self) -> tuple[MessageSeen, ...]:
        """The messages from others, out of prompts and tool outputs."""
        return tuple(
            message for item in self.items if isinstance(item, Prompt | Outcome) for message in _messages(item.text)
        )

    @classmethod
    def of(cls, items: Iterable[Item], toolbox: Toolbox) -> Conversation:
        """With what a resumed prompt says had begun, where the harness was cut before it wrote that down."""
        return cls(tuple(_with_the_cut(tuple(items))), toolbox)

    def last_prompt(self, *, resumed: bool = True) -> int:
        """The place of the newest prompt, -1 when there is none; without ``resumed``, of the newest that is news."""
        return max(
            (
                place
                for place, item in enumerate(self.items)
                if isinstance(item, Prompt) and (resumed or not item.text.startswith(RESUMED))
            ),
            default=-1,
        )


def _with_the_cut(items: tuple[Item, ...]) -> Iterator[Item]:
    known = {item.call_id for item in items if isinstance(item, Call)}
    for item in items:
        if isinstance(item, Prompt) and item.text.startswith(RESUMED):
            for found in _UNDER_WAY.finditer(item.text):
                if found[1] not in known:
                    yield Call(found[1])
                    yield Outcome(found[1], "", interrupted=True)
        yield item


def _messages(text: str) -> Iterator[MessageSeen]:
    heads = list(_HEADER.finditer(text))
    for head, following in zip_longest(heads, heads[1:]):
        body = text[head.end() : following.start() if following else len(text)]
        yield MessageSeen(head[1], head[2], (head[3] or "").strip(), body.strip())
