"""Facts of what the user orders, besides answers. ``app.domain.events`` has them with all the others."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from app.domain.fact import Fact


class InstructionsChanged(Fact):
    """The user told an agent what to do from now on: beside its instructions (``amend``) or instead of them.

    ``interrupt_id``: in answer to that question, the agent reads it there. ``cancel``: what it was doing is cancelled.
    """

    kind: Literal["instructions_changed"] = "instructions_changed"
    mode: Literal["amend", "replace"]
    text: str
    by: str = "user"
    interrupt_id: str = ""
    cancel: bool = False


class TurnCancelled(Fact):
    """Somebody had a turn ended before the agent ended it."""

    kind: Literal["turn_cancelled"] = "turn_cancelled"
    turn: int
    by: str = "user"


class ApprovalsOpened(Fact):
    """Every approval is given until ``until``, each on record as an answer by ``approve-all``.

    Of one agent, or of the whole team when ``agent`` is empty. The newest of these two kinds for the same counts.
    """

    kind: Literal["approvals_opened"] = "approvals_opened"
    until: datetime
    by: str = "user"


class ApprovalsClosed(Fact):
    """The user ended that before its time."""

    kind: Literal["approvals_closed"] = "approvals_closed"
    by: str = "user"
