"""What an agent shall do: its instructions of agents.yaml, and what the user has made of them since."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.errors import ActionRefused
from app.domain.events import InstructionsChanged
from app.domain.text import check_text

MAX_INSTRUCTIONS_BYTES = 65_536

TASK_CANCELLED = (
    "The user has cancelled your task. Drop it: do not go on with it, and start nothing else by yourself. "
    "Keep in your memory file what may be of use, then wait for messages."
)


def check_instructions(text: str) -> None:
    """Raise ActionRefused for a text that cannot be somebody's instructions."""
    check_text(text, what="the instructions", max_bytes=MAX_INSTRUCTIONS_BYTES)
    if not text.strip():
        raise ActionRefused(
            "new instructions are empty", operation="instruct", hint="say what the agent shall do instead"
        )


def in_force(initial: str, changes: Sequence[InstructionsChanged]) -> str:
    """The instructions as they stand after ``changes``, oldest first."""
    parts = [initial.strip()]
    for change in changes:
        if change.mode == "replace":
            parts.clear()
        parts.append(change.text.strip())
    return "\n\n".join(part for part in parts if part)


def told(change: InstructionsChanged) -> str:
    """A change as the agent reads it at the beginning of a prompt."""
    if change.cancel:
        return change.text
    how = "instead of those you had" if change.mode == "replace" else "in addition to those you have"
    return f"New instructions from the user, {how}:\n\n{change.text}"
