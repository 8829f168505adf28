"""Terminals for people in the machines of agents at work."""

from __future__ import annotations

from app.domain.errors import NotFound, SandboxError, SkerryError
from app.domain.machines import MachineState
from app.domain.ports import Sandbox
from app.domain.terminal import Terminal, TerminalWish

_OPERATION = "open a terminal"


async def open_terminal(wish: TerminalWish, sandbox: Sandbox | None, state: MachineState) -> Terminal:
    """A terminal in ``sandbox``, the wished agent's; ``state`` is its machine's. Raises NotFound, SandboxError."""
    if sandbox is None or state != "running":
        raise _closed(wish.agent, state)
    return await sandbox.open_terminal(
        columns=wish.columns,
        rows=wish.rows,
        user=wish.user,
        command=wish.command,
        term=wish.term,
        piped=wish.piped,
    )


def _closed(agent: str, state: MachineState) -> SkerryError:
    machine, run = f"the machine of {agent}", "start the team with 'skerry run'"
    match state:
        case "absent":
            return NotFound(f"{agent} has no machine yet", operation=_OPERATION, hint=run)
        case "stopped":
            return SandboxError(f"{machine} is stopped", operation=_OPERATION, hint=run)
        case "paused" | "suspended":
            hint = f"it goes on when the agent does: skerry resume {agent}"
            return SandboxError(f"{machine} is {state}", operation=_OPERATION, hint=hint)
        case "running":
            hint = f"try again in a moment; an agent that rests is woken by: skerry send {agent} …"
            return SandboxError(f"{machine} is not yet connected to this engine", operation=_OPERATION, hint=hint)
