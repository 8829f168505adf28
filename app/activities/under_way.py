"""What a turn had begun when it was cut."""

from __future__ import annotations

from app.domain import events as ev
from app.store.journal import Journal
from app.workflows import steps

_WORDS = 500


def under_way(journal: Journal, turn: steps.TurnOrder) -> tuple[tuple[str, str], ...]:
    """The tool calls of the turn that have begun and not ended, by the record, as (id, what)."""
    order, open_calls = turn.order, dict[str, str]()
    for fact in journal.of_run(order.fleet, order.run, ("tool_started", "tool_ended")):
        if fact.agent != order.agent:
            continue
        match fact:
            case ev.ToolStarted(turn=number) if number == turn.turn:
                open_calls[fact.call_id] = " ".join((fact.command or fact.title).split())[:_WORDS]
            case ev.ToolEnded(turn=number) if number == turn.turn:
                open_calls.pop(fact.call_id, None)
            case _:
                pass
    return tuple(open_calls.items())
