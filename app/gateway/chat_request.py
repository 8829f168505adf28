"""An OpenAI Chat Completions request, read into a conversation. All of it comes from a guest: nothing in it is trusted.

Format: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.conversation import Call, Conversation, Item, Outcome, Prompt, ShellTool, Toolbox, Words
from app.gateway.loop_tools import LOOP_SHELL, loop_outcome, own_tools
from app.gateway.responses_request import ModelRequest, purpose_of

_SHELLS: Mapping[str, ShellTool] = {LOOP_SHELL.name: LOOP_SHELL, "bash": ShellTool("bash", "command_text")}


def read_chat(body: Mapping[str, Any]) -> ModelRequest:
    """The request in ``body``; what is not understood in it is left out."""
    items = tuple(found for message in _dicts(body.get("messages")) for found in _items(message))
    conversation = Conversation(items, _toolbox(_dicts(body.get("tools"))))
    model = body.get("model")
    return ModelRequest(
        model=model[:200] if isinstance(model, str) else "",
        stream=body.get("stream") is True,
        purpose=purpose_of(body, conversation),
        conversation=conversation,
    )


def wants_usage(body: Mapping[str, Any]) -> bool:
    """Whether a stream is to end with the count of tokens."""
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _items(message: dict[str, Any]) -> Iterator[Item]:
    text = _text(message.get("content"))
    match message.get("role"):
        case "user":
            yield Prompt(text)
        case "assistant":
            if text:
                yield Words(text)
            for call in _dicts(message.get("tool_calls")):
                given = call.get("function")
                arguments = given.get("arguments") if isinstance(given, dict) else None
                yield Call(str(call.get("id", "")), arguments if isinstance(arguments, str) else "{}")
        case "tool":
            call_id = str(message.get("tool_call_id", ""))
            yield loop_outcome(call_id, text) or Outcome(call_id, text)
        case _:
            pass  # the system's words are no prompt


def _toolbox(tools: list[dict[str, Any]]) -> Toolbox:
    functions = [tool["function"] for tool in tools if isinstance(tool.get("function"), dict)]
    names = [str(function.get("name", "")) for function in functions]
    shell = next((_SHELLS[name] for name in names if name in _SHELLS), None)
    return Toolbox(shell, own_tools(names))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in _dicts(content) if isinstance(part.get("text"), str))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
