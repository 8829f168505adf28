"""Puts on record what an agent's program reports during a turn, in pieces a window can follow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.forms import FormAsked, Value
from app.domain.ports import PermissionAsked, PermissionGiven, Said, ToolActivity
from app.domain.text import printable
from app.store.journal import Journal
from app.workflows.steps import TurnOrder

FLUSH_SECONDS = 0.5
FLUSH_CHARACTERS = 2000

F = TypeVar("F", bound=ev.Fact)
Permit = Callable[[PermissionAsked], Awaitable[PermissionGiven]]
Fill = Callable[[FormAsked], Awaitable[Mapping[str, Value] | None]]


class TurnRecorder:
    """Hears one turn (one try of it) and appends its facts; words are joined until something else happens."""

    def __init__(
        self, journal: Journal, turn: TurnOrder, *, attempt: int, output_limit: int, permit: Permit, fill: Fill
    ) -> None:
        self._journal = journal
        self._turn = turn
        self._prefix = f"{turn.order.run}/{turn.order.agent}/t{turn.turn}"
        self._attempt = attempt
        self._limit = output_limit
        self._permit = permit
        self._fill = fill
        self._count = 0
        self._words: list[str] = []
        self._thought = False
        self._since = 0.0
        self._shown: dict[str, int] = {}
        self._shown_at: dict[str, float] = {}
        self._read = False
        self.last_heard = time.monotonic()
        self._at_work: set[str] = set()
        self.quiet = asyncio.Event()
        """Set while no tool call is at work; one that waits for leave is not."""
        self.quiet.set()

    async def said(self, said: Said) -> None:
        """Words of the agent, piece by piece."""
        self._heard()
        if said.thought != self._thought:
            self.flush()
        if not self._words:
            self._since = time.monotonic()
        self._thought = said.thought
        self._words.append(said.text)
        late = time.monotonic() - self._since > FLUSH_SECONDS
        if (late and said.text.endswith(("\n", ".", "!", "?"))) or sum(map(len, self._words)) > FLUSH_CHARACTERS:
            self.flush()

    async def tool(self, activity: ToolActivity) -> None:
        """A tool call began, went on or ended."""
        self._heard()
        self.flush()
        if activity.call_id not in self._shown:
            self._shown[activity.call_id] = 0
            self._append(
                ev.ToolStarted,
                f"{activity.call_id}/started",
                call_id=activity.call_id,
                title=printable(activity.title),
                tool_kind=activity.kind,
                command=printable(activity.command),
            )
        ended = activity.status in ("completed", "failed")
        self._note_work(activity.call_id, at_work=not ended)
        if ended:
            self._end_tool(activity)
        else:
            self._more_output(activity)

    async def session_opened(self, session: str) -> None:
        """From here on a resumed turn can load the conversation."""
        if session:
            self._append(ev.SessionOpened, f"session/{session}", session=session)

    async def permission(self, asked: PermissionAsked) -> PermissionGiven:
        """Ask the rules, and the user where they say so."""
        self._heard()
        self.flush()
        self._note_work(asked.call_id, at_work=False)
        try:
            given = await self._permit(asked)
        finally:
            self._heard()
        self._note_work(asked.call_id, at_work=given.option is not None)
        return given

    async def form(self, asked: FormAsked) -> Mapping[str, Value] | None:
        """Ask the user."""
        self._heard()
        self.flush()
        self._note_work(asked.call_id, at_work=False)
        try:
            return await self._fill(asked)
        finally:
            self._heard()

    def flush(self) -> None:
        """Put the words so far on record."""
        text = "".join(self._words)
        self._words.clear()
        if text.strip():
            self._count += 1
            name = f"a{self._attempt}/said/{self._count}"
            self._append(ev.AgentSaid, name, turn=self._turn.turn, text=printable(text), thought=self._thought)

    def mark_read(self) -> None:
        """The model has the prompt: its messages are read."""
        if self._read:
            return
        self._read = True
        for message_id in self._turn.messages:
            self._append(
                ev.MessageMoved, "", fact_id=f"{message_id}/read", message_id=message_id, state=MessageState.READ
            )

    def _note_work(self, call_id: str, *, at_work: bool) -> None:
        if at_work:
            self._at_work.add(call_id)
            self.quiet.clear()
        else:
            self._at_work.discard(call_id)
        if not self._at_work:
            self.quiet.set()

    def _heard(self) -> None:
        self.last_heard = time.monotonic()
        self.mark_read()

    def _more_output(self, activity: ToolActivity) -> None:
        shown = self._shown[activity.call_id]
        new = activity.output[shown : self._limit]
        now = time.monotonic()
        if not new or now - self._shown_at.get(activity.call_id, 0.0) < FLUSH_SECONDS:
            return
        self._shown_at[activity.call_id] = now
        self._shown[activity.call_id] = shown + len(new)
        name = f"a{self._attempt}/{activity.call_id}/{shown}"
        self._append(ev.ToolOutput, name, turn=self._turn.turn, call_id=activity.call_id, text=printable(new))

    def _end_tool(self, activity: ToolActivity) -> None:
        output = activity.output
        self._append(
            ev.ToolEnded,
            f"{activity.call_id}/ended",
            turn=self._turn.turn,
            call_id=activity.call_id,
            title=printable(activity.title),
            command=printable(activity.command),
            status=activity.status,
            exit_status=activity.exit_status,
            output=printable(output[: self._limit]),
            dropped=max(0, len(output) - self._limit),
        )

    def _append(self, kind: type[F], name: str, *, fact_id: str = "", **values: object) -> None:
        order = self._turn.order
        base: dict[str, object] = {
            "id": fact_id or f"{self._prefix}/{name}",
            "at": datetime.now(UTC),
            "fleet": order.fleet,
            "run": order.run,
            "agent": order.agent,
        }
        if "turn" in kind.model_fields:
            base["turn"] = self._turn.turn
        fact = kind.model_validate(base | values)
        self._journal.append(fact)  # type: ignore[arg-type]  # every kind we name here is one of Event's
