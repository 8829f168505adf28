"""How the scripted model knows Skerry's own loops: their tools go by bare names, their results say how they ended.

The same for all three APIs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.domain.actions import ACTIONS
from app.domain.loop_actions import LOOP_ACTIONS, RunCommand
from app.domain.loops import INTERRUPTED
from app.gateway.conversation import Outcome, ShellTool

LOOP_SHELL = ShellTool(RunCommand.name, "run_command")
_OWN = frozenset(kind.name for kind in (*LOOP_ACTIONS, *ACTIONS)) - {RunCommand.name}
_EXIT = re.compile(r"^Exit code: (-?\d+|none)\nOutput:\n")


def own_tools(names: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """Our tools among ``names``, when these are a loop's; a program's come with the name of a server before them."""
    given = frozenset(names)
    return {name: (name, None) for name in sorted(given & _OWN)} if RunCommand.name in given else {}


def loop_outcome(call_id: str, text: str) -> Outcome | None:
    """What came of a call of a loop; None when the text is not of one that ran a command, or was cut."""
    if text.startswith(INTERRUPTED):
        return Outcome(call_id, text, interrupted=True)
    found = _EXIT.match(text)
    if found is None:
        return None
    return Outcome(call_id, text[found.end() :], exit_status=None if found[1] == "none" else int(found[1]))
