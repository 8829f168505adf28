"""Facts of tool calls that were refused, so few that a program which repeats itself cannot fill the journal."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain import events as ev
from app.domain.text import first_line, printable
from app.workflows.steps import AgentOrder

MOST_A_MINUTE = 20
_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class _Window:
    began: datetime
    told: int = 0
    left_out: int = 0


class Refusals:
    """Makes the facts; at most ``most`` a minute for one agent, then one that says how many more there were."""

    def __init__(self, most: int = MOST_A_MINUTE) -> None:
        self._most = most
        self._windows: dict[tuple[str, str], _Window] = {}

    def facts(self, order: AgentOrder, tool: str, reason: str, now: datetime) -> list[ev.ToolRefused]:
        """What to append to the journal for one refusal at ``now``.

        How many were left out is told with the first refusal after that minute.
        """
        key = (order.run, order.agent)
        window = self._windows.setdefault(key, _Window(now))
        found: list[ev.ToolRefused] = []
        if now - window.began >= _MINUTE:
            if window.left_out:
                found.append(_fact(order, "tools", f"{window.left_out} more calls were refused in a minute", now))
            window = self._windows[key] = _Window(now)
        if window.told >= self._most:
            window.left_out += 1
            return found
        window.told += 1
        return [*found, _fact(order, tool, reason, now)]


def _fact(order: AgentOrder, tool: str, reason: str, now: datetime) -> ev.ToolRefused:
    return ev.ToolRefused(
        id=f"{order.run}/{order.agent}/refused/{secrets.token_hex(8)}",
        at=now,
        fleet=order.fleet,
        run=order.run,
        agent=order.agent,
        tool=printable(first_line(tool, 60)),
        reason=printable(first_line(reason, 400)),
    )
