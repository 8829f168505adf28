"""What an agent is told, in words: about itself, and in each turn."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.attachments import inbox_folder
from app.domain.envelope import USER, Envelope
from app.domain.fleet import AgentSpec, Fleet
from app.domain.interrupt import Interrupt, InterruptState

_HOUSE = """\
## How you work here

- Your machine is your own virtual machine without a network. Work in `/workspace`; nobody else sees its files.
- You reach others only through the tools of the MCP server `skerry`: `send_message`, `reply`, `read_inbox`.
  What another agent must see goes into the message, files as its `attachments`.
- `send_message` returns at once; with mode `sync` it waits for the reply. When that says `pending`, call `await_reply`.
- Messages to you stand at the start of a prompt, each under a line `Message <id> from <sender>`.
- When a message asks you to confirm, call `confirm` before anything else: accept, or decline with the reason.
- Keep notes with `memory_append`: decisions, open ends, what you would tell your successor.
- When a decision is not yours, call `ask_user`; when you are stuck, `request_debug`. Then end your turn: the answer is
  your next prompt.
- When there is nothing to do until a message comes, say so and end your turn. You are woken.
- When your task is complete, call `finish`, then end your turn.
"""

_REPOSITORY = """\
## The repository

`/workspace` is your own clone of the team's git repository, on the branch `skerry/{id}`. Commit your work there, in
small steps: what you commit on that branch is what the user gets. There is no remote to push to.
"""


def about(agent: AgentSpec, fleet: Fleet, rules: str) -> str:
    """The page the agent's program reads as its standing orders: AGENTS.md or CLAUDE.md."""
    parts = [f"# You are {agent.id}", agent.description.strip()]
    if agent.responsibilities:
        parts.append("## Your responsibilities\n\n" + "\n".join(f"- {item.strip()}" for item in agent.responsibilities))
    parts += [_team(agent, fleet), _HOUSE.strip()]
    if fleet.project.repository is not None:
        parts.append(_REPOSITORY.format(id=agent.id).strip())
    if rules.strip():
        parts.append("## Your rules\n\n" + rules.strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def first_prompt(agent: AgentSpec, memory: str) -> str:
    """The prompt of the first turn: the instructions, and the memory when there is one."""
    text = agent.initial_instructions.strip() or "Begin with your responsibilities."
    notes = memory.strip()
    return f"{text}\n\nYour memory so far:\n\n{notes}" if notes else text


STARTED_AGAIN = (
    "You had stopped and have been started again: same machine, same /workspace, same memory. "
    "Go on with your task where you left it; when nothing is left to do, call finish."
)


def rules_changed(rules: str) -> str:
    """New rules for an agent in the middle of its conversation."""
    return f"Your rules have changed. They are now, in place of those you were given:\n\n{rules.strip()}"


ALL_READ = "You have read what came in already. Go on with your task, or end your turn."


def message_block(envelope: Envelope, *, trouble: str = "") -> str:
    """A message as the agent reads it. ``trouble``: why its files are not in the agent's machine."""
    subject = f" — {envelope.subject}" if envelope.subject else ""
    parts = [f"Message {envelope.id} from {envelope.sender}{subject}", envelope.body]
    decision = envelope.data.get("decision")
    if isinstance(decision, str):
        parts.insert(1, f"Decision on {envelope.reply_to}: {decision}")
    if envelope.attachments:
        parts.append(_attached(envelope, trouble))
    if envelope.kind == "confirm":
        parts.append(
            f"{envelope.sender} waits for your decision. Call confirm(message_id={envelope.id!r}, decision='accept' or "
            "'decline', reason=…) before anything else."
        )
    return "\n\n".join(parts)


def _attached(envelope: Envelope, trouble: str) -> str:
    if trouble:
        names = ", ".join(item.name for item in envelope.attachments)
        return f"Its attachments ({names}) could not be put into your machine: {trouble}. Ask for them again."
    folder = inbox_folder(envelope.id)
    lines = [f"- {folder}/{item.name} ({item.size} bytes)" for item in envelope.attachments]
    return "\n".join(["Attached:", *lines])


def reminder(message_ids: Sequence[str]) -> str:
    """What an agent is told that has ended its turn without a decision it owes."""
    ids = ", ".join(message_ids)
    return f"You have not decided yet on {ids}. Call confirm for each first: accept, or decline with the reason."


def bounced(message_id: str, recipient: str, reason: str) -> str:
    """What an agent is told of a message of its own that was accepted, and did not reach its recipient."""
    return f"Your message {message_id} to {recipient} was refused: {reason}. Nobody has read it."


def messages_prompt(envelopes: Sequence[Envelope]) -> str:
    """The prompt that brings messages."""
    return "\n\n".join(message_block(envelope) for envelope in envelopes)


def answer_block(interrupt: Interrupt) -> str:
    """An answered question as the agent reads it. Raises ValueError when it has no answer."""
    answer = interrupt.answer
    if interrupt.state is InterruptState.EXPIRED:
        return _unanswered(interrupt)
    if answer is None:
        raise ValueError(f"{interrupt.id} has no answer")
    words = "\n".join(part for part in (answer.option, answer.text) if part) or "(no words)"
    if answer.action == "modify":
        how = ", instead of those you had" if answer.mode == "replace" else ""
        return f"New instructions from the user{how}, in answer to {interrupt.id} ({interrupt.title}):\n\n{words}"
    if interrupt.about:
        return f"The user was asked about you: {interrupt.title}\n\nAnswer to {interrupt.id}: {words}"
    return f"You asked: {interrupt.title}\n\nAnswer to {interrupt.id}: {words}"


def _unanswered(interrupt: Interrupt) -> str:
    """What an agent is told whose question was asked for a while only."""
    answer = interrupt.answer
    then = "Go on as you think best." if answer is None else f"Your default applies: {answer.option or answer.text}"
    return f"You asked: {interrupt.title}\n\nNobody answered {interrupt.id} in time. {then}"


def unread_note(unread: int) -> str:
    """What a tool result adds when messages wait; empty when none do."""
    if unread <= 0:
        return ""
    return f"\n\nYou have {unread} unread message{'s' if unread > 1 else ''}: call read_inbox."


def _team(agent: AgentSpec, fleet: Fleet) -> str:
    lines = [f"- `{USER}`: the person you work for"]
    for other in fleet.agents:
        if other.id != agent.id:
            direct = "" if other.id in agent.direct_communication else _INDIRECT[agent.indirect_communication]
            lines.append(f"- `{other.id}`: {other.description.strip() or other.type}{direct}")
    return "## The team\n\n" + "\n".join(lines)


_INDIRECT = {
    "ask": " (a new message to it is held until the user approves; replies pass)",
    "deny": " (you may only reply to it)",
    "allow": "",
}
