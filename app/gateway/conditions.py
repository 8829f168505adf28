"""Whether a step's condition holds in a conversation, and the values its texts are filled with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway.conversation import Conversation, MessageSeen, Outcome, Prompt
from app.gateway.progress import COMMAND, Progress
from app.gateway.scenario import TEMPLATE, Condition, Exit, Message, Output, Seen, Step


def holds(condition: Condition, conversation: Conversation, progress: Progress) -> bool:
    """Whether ``condition`` is true of what was said and done so far."""
    match condition:
        case Condition(seen=Seen() as seen):
            return any(re.search(seen.matches, text, re.M) for text in _texts(seen, conversation, progress))
        case Condition(message=Message() as wanted):
            return any(_fits(wanted, message) for message in conversation.messages)
        case Condition(output=Output() as found):
            return any(re.search(found.matches, done.text, re.M) for done in progress.outcomes(found.of))
        case Condition(exit=Exit() as wanted):
            return _ended(wanted, progress)
        case Condition(interrupted=step) if step is not None:
            return any(done.outcome.interrupted for done in progress.calls(step).values())
        case Condition(unless=inner) if inner is not None:
            return not holds(inner, conversation, progress)
        case Condition(any=parts) if parts:
            return any(holds(part, conversation, progress) for part in parts)
        case _:
            return all(holds(part, conversation, progress) for part in condition.all)


def captured(steps: tuple[Step, ...], conversation: Conversation) -> dict[str, str | None]:
    """The values the given steps capture, the latest in the conversation each; None where there is none yet."""
    values: dict[str, str | None] = {}
    for step in steps:
        for name, wanted in step.capture.items():
            values[name] = (
                _message_id(wanted, conversation) if isinstance(wanted, Message) else _text(wanted, conversation)
            )
    return values


def fill(value: Any, names: Mapping[str, str]) -> Any:
    """A text, or a JSON value with texts in it, its ``<<name>>`` replaced. What is filled in is not looked at again."""
    if isinstance(value, str):
        return TEMPLATE.sub(lambda match: names.get(match[1], match[0]), value)
    if isinstance(value, Mapping):
        return {key: fill(part, names) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [fill(part, names) for part in value]
    return value


def _texts(seen: Seen, conversation: Conversation, progress: Progress) -> Iterator[str]:
    begin = progress.place(seen.since) if seen.since else -1
    if seen.since and begin < 0:
        return
    for item in conversation.items[begin + 1 :]:
        if isinstance(item, Prompt) and seen.by != "outputs":
            yield item.text
        if isinstance(item, Outcome) and seen.by != "prompts":
            yield item.text


def _ended(wanted: Exit, progress: Progress) -> bool:
    command = progress.calls(wanted.of).get(COMMAND)
    if command is None:
        return False
    status = command.outcome.exit_status
    return status != wanted.unlike if wanted.status is None else status == wanted.status


def _fits(wanted: Message, message: MessageSeen) -> bool:
    return (
        message.sender == wanted.sender
        and re.search(wanted.subject, message.subject, re.M) is not None
        and re.search(wanted.body, message.body, re.M) is not None
    )


def _message_id(wanted: Message, conversation: Conversation) -> str | None:
    return next((message.id for message in reversed(conversation.messages) if _fits(wanted, message)), None)


def _text(pattern: str, conversation: Conversation) -> str | None:
    texts = [item.text for item in conversation.items if isinstance(item, Prompt | Outcome)]
    found = next(
        (found for text in reversed(texts) for found in reversed(list(re.finditer(pattern, text, re.M)))), None
    )
    if found is None:
        return None
    return found[1] if found.re.groups else found[0]
