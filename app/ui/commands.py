"""What the window needs from the room below: ``app.control.Control`` fits, and so does what the tests hand in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from app.config import Project
from app.control.letters import Letter
from app.domain.interrupt import Answer
from app.domain.ports import Progress


class Commands(Protocol):
    """Every button of the window. All raise SkerryError with a remedy; all run on the bridge's event loop."""

    async def run_fleet(self, project: Project, *, rehearse: str | None = None) -> str:
        """Start the project's fleet; returns the id of the run."""

    async def stop_fleet(self, fleet: str) -> None:
        """Stop all agents of a fleet."""

    async def stop_agent(self, fleet: str, agent: str) -> None:
        """Stop one agent."""

    async def start_agent(self, fleet: str, agent: str) -> None:
        """Start an agent that has ended again: same disk, memory, inbox and conversation."""

    async def pause_agent(self, fleet: str, agent: str, *, to_disk: bool = False, after_command: bool = False) -> None:
        """Hold an agent: at once, ``after_command``, or ``to_disk`` after its turn."""

    async def resume_agent(self, fleet: str, agent: str) -> None:
        """Let a paused agent go on where it stood."""

    async def reset_agent(self, fleet: str, agent: str) -> None:
        """Give an agent a clean machine; it begins anew."""

    async def remove_machine(self, fleet: str, agent: str) -> None:
        """Take the machine of an agent that has ended away, with its disk."""

    async def cancel_turn(self, fleet: str, agent: str) -> None:
        """End an agent's turn now; it then waits for what comes in."""

    async def cancel_task(self, fleet: str, agent: str) -> None:
        """Have an agent drop what it is doing."""

    async def instruct(self, fleet: str, agent: str, text: str, mode: Literal["amend", "replace"] = "amend") -> None:
        """Give an agent new instructions, beside those it has or instead."""

    async def approve_all(self, fleet: str, lasting: timedelta, agent: str = "") -> datetime:
        """Approve everything for a while, of one agent or of the team; returns until when."""

    async def post(self, fleet: str, letter: Letter) -> str:
        """Write to an agent as the user; returns the message's id once it is in the agent's inbox."""

    async def reply(self, fleet: str, message_id: str, body: str) -> str:
        """Answer a message that an agent wrote to the user; returns the reply's id."""

    async def mark_read(self, message_ids: Sequence[str]) -> None:
        """Put on record that the user had these messages in full before them."""

    async def answer(self, fleet: str, interrupt_id: str, answer: Answer) -> object:
        """Answer an interrupt."""

    async def answer_alike(self, fleet: str, interrupt_id: str, answer: Answer) -> object:
        """Answer an interrupt and all open ones of its group."""

    async def end_approve_all(self, fleet: str, agent: str = "") -> None:
        """Ask again where everything was approved."""

    async def stop_engine(self) -> None:
        """Stop the engine and with it all work; nothing acknowledged is lost."""

    async def close(self) -> None:
        """Let go of the connection; engine and agents go on."""


Connector = Callable[[Progress], Awaitable[Commands]]
"""Starts the engine where none runs, and connects to it. Progress is told from the bridge's thread."""
