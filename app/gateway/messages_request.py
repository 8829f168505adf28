"""An Anthropic Messages request, read into a conversation. All of it comes from a guest: nothing in it is trusted.

Format: https://docs.anthropic.com/en/api/messages. What is special to Claude Code was seen in version 2.1.197.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.conversation import Call, Conversation, Item, Outcome, Prompt, ShellTool, Toolbox, Words
from app.gateway.loop_tools import LOOP_SHELL, loop_outcome, own_tools
from app.gateway.responses_request import SERVER, ModelRequest, Purpose

_SHELLS: Mapping[str, ShellTool] = {
    "Bash": ShellTool("Bash", "command_text"),
    "bash": ShellTool("bash", "command_text"),
    LOOP_SHELL.name: LOOP_SHELL,
}
_INTERRUPTED = "[Request interrupted by user"
_NOT_PROMPTS = (
    "<system-reminder>",
    "<command-name>",
    "<command-message>",
    "<local-command-",
    _INTERRUPTED,
    "Caveat: The messages below",
)
_COMPACTION = re.compile(
    r"^\s*((CRITICAL: .*\s+)?Your task is to create a detailed summary of|Summari[sz]e) th(e|is) conversation", re.I
)
_EXIT = re.compile(r"^(?:Error: )?Exit code (-?\d+)\n?")
_CUT = re.compile(
    r"\s*(?:\[Request interrupted by user|The user doesn't want to (?:proceed|take this action)|Interrupted\b)|"
    r"\[Tool call interrupted\b|.*<error>Command was aborted before completion</error>\s*$",
    re.S,
)


def read_messages(body: Mapping[str, Any]) -> ModelRequest:
    """The request in ``body``; what is not understood in it is left out."""
    messages = _dicts(body.get("messages"))
    toolbox = _toolbox(_dicts(body.get("tools")))
    shells = {str(block.get("id")) for block in _blocks(messages, "tool_use") if block.get("name") in _SHELLS}
    items = (found for message in messages for found in _items(message, shells))
    conversation = Conversation.of(items, toolbox)
    model = body.get("model")
    return ModelRequest(
        model=model[:200] if isinstance(model, str) else "",
        stream=body.get("stream") is True,
        purpose=_purpose(conversation),
        conversation=conversation,
    )


def _purpose(conversation: Conversation) -> Purpose:
    place = conversation.last_prompt()
    prompt = conversation.items[place] if place >= 0 else None
    if not isinstance(prompt, Prompt):
        return "other"
    if place == len(conversation.items) - 1 and _COMPACTION.search(prompt.text[:2000]):
        return "compaction"
    toolbox = conversation.toolbox
    # Titles, topics and checks of the account are asked for without tools.
    return "turn" if toolbox.shell is not None or toolbox.tools else "other"


def _items(message: dict[str, Any], shells: set[str]) -> Iterator[Item]:
    role, content = message.get("role"), message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else _dicts(content)
    if role == "assistant":
        words = "".join(_texts(blocks))
        if words:
            yield Words(words)
        for block in blocks:
            if block.get("type") == "tool_use":
                yield Call(str(block.get("id", "")), json.dumps(block.get("input"), ensure_ascii=False))
    elif role == "user":
        for block in blocks:
            if block.get("type") == "tool_result":
                yield _outcome(block, shells)
            elif isinstance(text := block.get("text"), str) and not text.lstrip().startswith(_NOT_PROMPTS):
                yield Prompt(text)


def _outcome(block: dict[str, Any], shells: set[str]) -> Outcome:
    call_id, content = str(block.get("tool_use_id", "")), block.get("content")
    text = content if isinstance(content, str) else "\n".join(_texts(_dicts(content)))
    if (of_loop := loop_outcome(call_id, text)) is not None:
        return of_loop
    failed = block.get("is_error") is True
    if failed and _CUT.match(text):
        return Outcome(call_id, text, interrupted=True)
    if call_id not in shells:
        return Outcome(call_id, text)
    status = _EXIT.match(text) if failed else None
    if status is not None:
        return Outcome(call_id, text[status.end() :], exit_status=int(status[1]))
    return Outcome(call_id, text, exit_status=1 if failed else 0)


def _toolbox(tools: list[dict[str, Any]]) -> Toolbox:
    shell: ShellTool | None = None
    named = own_tools(str(tool.get("name", "")) for tool in tools)
    for tool in tools:
        name = str(tool.get("name", ""))
        if name in _SHELLS:
            shell = shell or _SHELLS[name]
        else:
            named[name.removeprefix(f"mcp__{SERVER}__")] = (name, None)
    return Toolbox(shell, named)


def _blocks(messages: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield from (block for block in _dicts(message.get("content")) if block.get("type") == kind)


def _texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
