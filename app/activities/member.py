"""One agent at work in this engine, and the names it goes by."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.activities.limit_log import LimitLog
from app.activities.playing import Playing
from app.activities.underway import Underway
from app.config import Project
from app.config.rules_book import RulesBook
from app.domain.fleet import AgentSpec
from app.domain.ports import AgentRuntime, Sandbox
from app.store.memory import MemoryFile
from app.workflows.steps import AgentOrder, WaitEnd

TELLING_SECONDS = 5.0
ASKED_AT_ONCE = 6
"""Temporal takes ten updates of one workflow at a time; others than tool calls ask it, too."""


@dataclass(slots=True)
class Member:
    """One agent at work."""

    order: AgentOrder
    project: Project
    spec: AgentSpec
    runtime: AgentRuntime
    memory: MemoryFile
    rules: RulesBook
    sandbox: Sandbox | None = None
    turn: int = 0
    playing: Playing | None = None
    """Its turn under way, or the last one: its outcome may have to be reported again."""
    underway: Underway = field(default_factory=Underway)
    """Its steps under way, when its turns are taken step by step."""
    beginning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a turn is begun: two tries of it must not both begin it."""
    telling: set[asyncio.Task[None]] = field(default_factory=set)
    """What its workflow is being told while its turn goes on."""
    untold: list[WaitEnd] = field(default_factory=list)
    """What it is to be told next."""
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when that should be at once."""
    look_back: bool = False
    """Whether its turn is taken up again: what it was given before may never have come before it."""
    limits: LimitLog | None = None
    bare: bool = False
    """Whether its machine, new, has yet to get the workspace."""
    clean: bool = False
    """Whether its machine was made new for it."""
    reloaded: str = ""
    """The reload of agents.yaml that its project is of."""
    ending: bool = False
    """Whether its turn is being ended: nothing that it waits for is of use any more."""
    refused_at: float | None = None
    """When a request of its turn to the model was not let through first; monotonic seconds."""
    closed_at: float | None = None
    """Since when it may not go on, though its turn does."""
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its turn has to end for that."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ASKED_AT_ONCE))
    """Held by each tool call that asks its workflow something."""

    def begin_turn(self, turn: int) -> None:
        """What was in the way of an earlier turn, or of an earlier try, is over."""
        self.turn = turn
        self.refused_at = self.closed_at = None
        self.cut.clear()

    @property
    def is_busy(self) -> bool:
        """Whether a turn, or a step of one, is under way here."""
        return self.underway.busy or (self.playing is not None and not self.playing.task.done())

    async def told(self) -> None:
        """Wait until its workflow has been told what it was to be told, a bounded time."""
        if self.untold:
            self.hurry.set()
        if self.telling:
            await asyncio.wait(self.telling, timeout=TELLING_SECONDS)


Roster = dict[str, Member]
"""The members at work, by ``member_key``: written by the crew, read by the tool calls."""


def member_key(fleet: str, agent: str) -> str:
    """The key of an agent on this host, also of its door."""
    return f"{fleet}/{agent}"


def machine_name(fleet: str, agent: str) -> str:
    """The name of an agent's virtual machine."""
    return f"{fleet}.{agent}"
