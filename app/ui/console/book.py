"""The facts that transcripts tell, kept by agent for the current run; bounded, the newest stay."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal

from app.domain import events as ev
from app.domain.board import Board
from app.domain.events import Event
from app.ui.feed import Advance

MAX_FACTS = 20_000
MAX_CHARS = 8_000_000
_TOLD = (
    ev.TurnStarted, ev.TurnResumed, ev.TurnEnded, ev.AgentSaid, ev.ToolStarted, ev.ToolOutput, ev.ToolEnded,
    ev.AgentMoved, ev.SandboxChanged, ev.LimitReached, ev.MemoryWritten, ev.WorkspaceMirrored, ev.ModelCalled,
    ev.AgentFinished,
)  # fmt: skip


@dataclass(slots=True)
class _Chapter:
    facts: deque[Event] = field(default_factory=deque)
    chars: int = 0
    dropped: int = 0


class TranscriptBook(QObject):
    """``grew`` carries an agent and its new facts; ``restarted`` says that a new run began."""

    grew = Signal(str, object)
    restarted = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chapters: dict[str, _Chapter] = {}
        self.board = Board("")

    def take_in(self, advance: Advance) -> None:
        """Keep what is new, and tell of it."""
        self.board = advance.board
        if advance.restarted:
            self._chapters.clear()
            self.restarted.emit()
        fresh: dict[str, list[Event]] = {}
        for event in advance.events:
            for agent in _tellers(event, advance.board):
                self._keep(agent, event)
                fresh.setdefault(agent, []).append(event)
        for agent, facts in fresh.items():
            self.grew.emit(agent, facts)

    def facts(self, agent: str) -> list[Event]:
        """What is kept of an agent, oldest first."""
        chapter = self._chapters.get(agent)
        return list(chapter.facts) if chapter is not None else []

    def dropped(self, agent: str) -> int:
        """Older facts that are in the journal but no longer here."""
        chapter = self._chapters.get(agent)
        return chapter.dropped if chapter is not None else 0

    def _keep(self, agent: str, event: Event) -> None:
        chapter = self._chapters.setdefault(agent, _Chapter())
        chapter.facts.append(event)
        chapter.chars += _weight(event)
        while len(chapter.facts) > MAX_FACTS or (chapter.chars > MAX_CHARS and len(chapter.facts) > 1):
            chapter.chars -= _weight(chapter.facts.popleft())
            chapter.dropped += 1


def _tellers(event: Event, board: Board) -> tuple[str, ...]:
    """Whose transcripts tell of ``event``."""
    if isinstance(event, _TOLD):
        return (event.agent,)
    if isinstance(event, ev.MessageAccepted):
        return (event.envelope.sender,)
    if isinstance(event, ev.MessageMoved):
        view = board.messages.get(event.message_id)
        return (view.envelope.recipient,) if view is not None else ()
    if isinstance(event, ev.InterruptRaised):
        return (event.interrupt.agent,)
    if isinstance(event, ev.InterruptSettled):
        interrupt = board.interrupts.get(event.interrupt_id)
        return (interrupt.agent,) if interrupt is not None else ()
    return ()


def _weight(event: Event) -> int:
    if isinstance(event, ev.ToolEnded):
        return len(event.output)
    if isinstance(event, ev.ToolOutput | ev.AgentSaid):
        return len(event.text)
    return len(event.prompt) if isinstance(event, ev.TurnStarted) else 100
