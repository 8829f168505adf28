"""An OpenAI Responses request, read into a conversation. All of it comes from a guest: nothing in it is trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.gateway.conversation import Call, Conversation, Item, Outcome, Prompt, ShellTool, Toolbox, Words
from app.gateway.loop_tools import LOOP_SHELL, loop_outcome, own_tools

Purpose = Literal["turn", "title", "compaction", "other"]

SERVER = "skerry"
"""The name our tool server has in the harness's configuration."""
_SHELLS: Mapping[str, ShellTool] = {
    "exec_command": ShellTool("exec_command", "exec_command"),
    "shell_command": ShellTool("shell_command", "command_text"),
    "shell": ShellTool("shell", "command_list"),
    LOOP_SHELL.name: LOOP_SHELL,
}
_NOT_PROMPTS = (
    "# AGENTS.md instructions",
    "<environment_context>",
    "<user_instructions>",
    "<permissions instructions>",
)
_TITLE = re.compile(r"\s*(Your task is to )?generate an? (very )?(short|concise) title", re.I)
_COMPACTION = re.compile(
    r"CONTEXT CHECKPOINT COMPACTION|^\s*(Summari[sz]e|Create a (detailed )?summary of) th(e|is) conversation", re.I
)
_EXIT = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d+)", re.M)
_RUNNING = re.compile(r"^Process running with session ID (\d+)", re.M)
_CUT = re.compile(
    r"\s*(?:Wall time: [0-9.]+ seconds\s+)?(aborted\b|tool call error: (failed to|error sending|.*[Tt]ransport))"
)


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What was asked of the model, and by what kind of request."""

    model: str
    stream: bool
    purpose: Purpose
    conversation: Conversation


def read_request(body: Mapping[str, Any]) -> ModelRequest:
    """The request in ``body``; what is not understood in it is left out."""
    given = body.get("input")
    items = [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else _dicts(given)
    found = (part for item in items for part in _items(item))
    conversation = Conversation.of(found, _toolbox(_dicts(body.get("tools"))))
    model = body.get("model")
    return ModelRequest(
        model=model[:200] if isinstance(model, str) else "",
        stream=body.get("stream") is True,
        purpose=purpose_of(body, conversation),
        conversation=conversation,
    )


def purpose_of(body: Mapping[str, Any], conversation: Conversation) -> Purpose:
    """What a request is for: another step of a turn, or one of the things that programs ask beside."""
    place = conversation.last_prompt()
    prompt = conversation.items[place] if place >= 0 else None
    if not isinstance(prompt, Prompt) or body.get("generate") is False:
        return "other"
    if place == len(conversation.items) - 1:
        if _TITLE.match(prompt.text):
            return "title"
        if _COMPACTION.search(prompt.text[:2000]):
            return "compaction"
    toolbox = conversation.toolbox
    return "turn" if toolbox.shell is not None or toolbox.tools else "other"


def _items(item: dict[str, Any]) -> Iterator[Item]:
    kind = item.get("type", "message")
    call_id = str(item.get("call_id", ""))
    if kind == "message" and item.get("role") == "user":
        yield from (Prompt(text) for text in _texts(item.get("content")) if not text.lstrip().startswith(_NOT_PROMPTS))
    elif kind == "message" and item.get("role") == "assistant":
        yield Words("".join(_texts(item.get("content"))))
    elif kind == "function_call":
        yield Call(call_id, str(item.get("arguments", "")))
    elif kind == "function_call_output":
        yield _outcome(call_id, "\n".join(_texts(item.get("output"))))


def _outcome(call_id: str, text: str) -> Outcome:
    if (of_loop := loop_outcome(call_id, text)) is not None:
        return of_loop
    text = _unwrapped(text)
    head, found, rest = f"\n{text}".partition("\nOutput:\n")
    cut = _CUT.match(rest if found else text) is not None
    if not found:
        return Outcome(call_id, text, interrupted=cut)
    status, running = _EXIT.search(head), _RUNNING.search(head)
    return Outcome(
        call_id,
        rest,
        exit_status=int(status[1]) if status else None,
        session=int(running[1]) if running else None,
        interrupted=cut and status is None,
    )


def _unwrapped(text: str) -> str:
    """The classic shell tool answers in JSON; the same facts as the lines of the newer one."""
    if not text.startswith('{"output":'):
        return text
    try:
        found = json.loads(text)
        return f"Exit code: {int(found['metadata']['exit_code'])}\nOutput:\n{found['output']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return text


def _toolbox(tools: list[dict[str, Any]]) -> Toolbox:
    shell: ShellTool | None = None
    named = own_tools(str(tool.get("name", "")) for tool in tools)
    for tool in tools:
        name = str(tool.get("name", ""))
        if tool.get("type") == "namespace":
            if name.rpartition("__")[2] == SERVER:
                named |= {str(inner.get("name")): (str(inner.get("name")), name) for inner in _dicts(tool.get("tools"))}
        elif name in _SHELLS:
            shell = shell or _SHELLS[name]
        elif name.startswith(f"mcp__{SERVER}__"):
            named[name.removeprefix(f"mcp__{SERVER}__")] = (name, None)
    return Toolbox(shell, named)


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in _dicts(content) if isinstance(part.get("text"), str)]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
