"""The orders a user may give an agent or the team, and why one cannot be given now."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from app.domain.blanket import in_time
from app.domain.board import AgentView, Board
from app.domain.events import ENDED, AgentStatus


class Verb(StrEnum):
    """An order, named as its menu entry is (``agent-pause``, ``team-pause``)."""

    PAUSE = "pause"
    PAUSE_AFTER = "pause-after"
    PAUSE_TO_DISK = "pause-to-disk"
    RESUME = "resume"
    CANCEL_TURN = "cancel-turn"
    CANCEL_TASK = "cancel-task"
    INSTRUCT = "instruct"
    STOP = "stop"
    START = "start"
    RESET = "reset"
    REMOVE = "remove"
    APPROVE = "approve"
    ASK_AGAIN = "ask-again"


_AFTER_THE_END = (Verb.START, Verb.REMOVE)
_WHILE_PAUSED = (Verb.RESUME, Verb.INSTRUCT, Verb.STOP, Verb.APPROVE, Verb.ASK_AGAIN)
_PAUSES = (Verb.PAUSE, Verb.PAUSE_AFTER, Verb.PAUSE_TO_DISK)
_IN_A_TURN = (AgentStatus.RUNNING, AgentStatus.WAITING)
_NOBODY = {
    Verb.RESUME: "No agent is paused",
    Verb.CANCEL_TURN: "No agent is in a turn",
    Verb.START: "No agent has ended",
    Verb.REMOVE: "A machine is removed for one agent, from its own menu",
    Verb.PAUSE: "No agent is at work and not paused",
    Verb.PAUSE_AFTER: "No agent is at work and not paused",
    Verb.PAUSE_TO_DISK: "No agent is at work and not paused",
    Verb.RESET: "No agent is at work and not paused",
}


def obstacle(verb: Verb, view: AgentView, board: Board, now: datetime) -> str:
    """Why an agent cannot be given the order now; empty when it can. What only the engine knows, it says itself."""
    ended = view.state in ENDED or bool(board.outcome)
    if verb in _AFTER_THE_END:
        return _after_the_end(verb, view, ended)
    if ended:
        return f"{view.id} has ended: start it again first"
    if _paused(view) and verb not in _WHILE_PAUSED:
        return f"{view.id} is paused already" if verb in _PAUSES else f"{view.id} is paused: resume it first"
    return _at_work(verb, view, board, now)


def able(verb: Verb, board: Board, now: datetime) -> list[str]:
    """The agents of the team that can be given the order now."""
    if verb in (Verb.REMOVE, Verb.ASK_AGAIN):
        return []
    return [view.id for view in board.agents.values() if not obstacle(verb, view, board, now)]


def team_obstacle(verb: Verb, board: Board, now: datetime) -> str:
    """Why the team cannot be given the order now; empty when one of its agents, at least, can."""
    if not board.run:
        return "The agents are not running"
    if verb is Verb.ASK_AGAIN:
        return "" if in_time(board.blankets, now) and not board.outcome else "Approvals wait for you already"
    return "" if able(verb, board, now) else _NOBODY.get(verb, "No agent is at work")


def _after_the_end(verb: Verb, view: AgentView, ended: bool) -> str:
    if not ended:
        return f"{view.id} is at work" + (": stop it first" if verb is Verb.REMOVE else "")
    return f"agents.yaml no longer has {view.id}" if verb is Verb.START and view.removed else ""


def _at_work(verb: Verb, view: AgentView, board: Board, now: datetime) -> str:
    if verb is Verb.RESUME and not _paused(view):
        return f"{view.id} is not paused"
    if verb is Verb.CANCEL_TURN and view.state not in _IN_A_TURN:
        return f"{view.id} has no turn under way"
    if verb is Verb.RESET and view.state is AgentStatus.STARTING:
        return f"the machine of {view.id} is being made"
    if verb is Verb.ASK_AGAIN and view.id not in in_time(board.blankets, now):
        return f"Approvals of {view.id} wait for you already, or are given with the team’s"
    return ""


def _paused(view: AgentView) -> bool:
    return view.state is AgentStatus.PAUSED or view.pausing
