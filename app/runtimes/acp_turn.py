"""The updates of one turn, handed to its observer in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from acp.schema import (
    AgentMessageChunk,
    AgentPlanUpdate,
    AgentThoughtChunk,
    PlanEntry,
    TextContentBlock,
    ToolCallProgress,
    ToolCallStart,
)

from app.domain.forms import FormAsked, Value
from app.domain.ports import PermissionAsked, PermissionGiven, Said, TurnObserver
from app.runtimes.acp_updates import ToolCalls

log = logging.getLogger(__name__)

Notice = Callable[[Any], str | None]
"""The words of the program itself in an update, as opposed to the model's; None for all others."""


class TurnEar:
    """Hears one turn. The connection puts updates in without waiting; a task of our own takes them out."""

    def __init__(self, observer: TurnObserver, calls: ToolCalls, notice: Notice) -> None:
        self._observer = observer
        self._calls = calls
        self._read_notice = notice
        self._updates: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.create_task(self._hear())
        self._told: list[str] = []
        self.last_notice = ""
        """What the program said of itself after the model's last words or deeds."""

    def put(self, update: Any) -> None:
        """Queue an update."""
        self._updates.put_nowait(update)

    async def permission(self, asked: PermissionAsked) -> PermissionGiven:
        """Ask the observer, after it has heard what came before."""
        await self._updates.join()
        named = asked if asked.paths else replace(asked, paths=self._calls.paths_of(asked.call_id))
        given = await self._observer.permission(named)
        if given.told:
            self._told.append(given.told)
        return given

    async def form(self, asked: FormAsked) -> Mapping[str, Value] | None:
        """Have the user fill in a form, after the observer has heard what came before."""
        await self._updates.join()
        return await self._observer.form(asked)

    def take_told(self) -> str:
        """What the agent is to be told of what was refused since this was last asked."""
        told, self._told = "\n".join(self._told), []
        return told

    async def failed(self) -> None:
        """Return only by raising what the observer raised."""
        await asyncio.shield(self._task)

    async def drained(self) -> None:
        """Wait until all that came was heard; raises what the observer raised."""
        joining = asyncio.create_task(self._updates.join())
        await asyncio.wait({joining, self._task}, return_when=asyncio.FIRST_COMPLETED)
        joining.cancel()
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        """Hear no more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._task

    async def _hear(self) -> None:
        while True:
            update = await self._updates.get()
            try:
                await self._tell(update)
            finally:
                self._updates.task_done()

    async def _tell(self, update: Any) -> None:
        notice = self._read_notice(update)
        if notice is not None:
            self.last_notice = notice or self.last_notice
            log.info("the agent's program: %s", notice)
            return
        match update:
            case AgentMessageChunk(content=TextContentBlock(text=text)):
                await self._say(Said(text))
            case AgentThoughtChunk(content=TextContentBlock(text=text)):
                await self._say(Said(text, thought=True))
            case AgentPlanUpdate(entries=entries):
                await self._say(Said(_plan(entries), thought=True))
            case ToolCallStart() | ToolCallProgress():
                self.last_notice = ""
                activity = self._calls.update(update)
                if not _is_bare(update):
                    await self._observer.tool(activity)
            case _:
                pass  # modes, titles, commands, context sizes: nothing an observer is told

    async def _say(self, said: Said) -> None:
        self.last_notice = ""
        if said.text:
            await self._observer.said(said)


def _is_bare(update: ToolCallStart | ToolCallProgress) -> bool:
    """Whether a call is announced whose input is still being written, as Claude Code's adapter does."""
    announced = isinstance(update, ToolCallStart) and update.status == "pending" and not update.raw_input
    return announced and "claudeCode" in (update.field_meta or {})


def _plan(entries: list[PlanEntry]) -> str:
    marks = {"completed": "[x]", "in_progress": "[>]"}
    return "\n".join(["Plan:", *(f"{marks.get(entry.status, '[ ]')} {entry.content}" for entry in entries)]) + "\n"
