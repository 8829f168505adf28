"""The APIs the scripted model speaks: how each reads a request and tells a move, whole or as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.gateway.chat_request import read_chat, wants_usage
from app.gateway.chat_stream import chunks, completion, completion_characters
from app.gateway.conversation import Toolbox
from app.gateway.door import ModelApi
from app.gateway.messages_request import read_messages
from app.gateway.messages_stream import message, message_characters, message_events
from app.gateway.rehearsal import Move
from app.gateway.responses_request import ModelRequest, read_request
from app.gateway.responses_stream import events, output_characters, response

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Making:
    """What a whole answer is made of besides the move: ``seed`` makes its ids, ``tokens`` are (given, made, cached)."""

    model: str
    moment: int
    seed: str
    tokens: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One API."""

    read: Callable[[Mapping[str, Any]], ModelRequest]
    whole: Callable[[Move, Toolbox, Making], Json]
    events: Callable[[Json, Mapping[str, Any]], Iterator[bytes]]
    characters: Callable[[Json], int]


def _response(move: Move, toolbox: Toolbox, making: Making) -> Json:
    given, made, cached = making.tokens
    whole = response(
        move, toolbox, model=making.model, created_at=making.moment, seed=making.seed, tokens=(given, made)
    )
    whole["usage"]["input_tokens_details"]["cached_tokens"] = cached
    return whole


def _message(move: Move, toolbox: Toolbox, making: Making) -> Json:
    given, made, cached = making.tokens
    whole = message(move, toolbox, model=making.model, seed=making.seed, tokens=(given - cached, made))
    whole["usage"]["cache_read_input_tokens"] = cached
    return whole


def _completion(move: Move, toolbox: Toolbox, making: Making) -> Json:
    given, made, cached = making.tokens
    whole = completion(move, toolbox, model=making.model, created=making.moment, seed=making.seed, tokens=(given, made))
    whole["usage"]["prompt_tokens_details"] = {"cached_tokens": cached}
    return whole


RESPONSES = Dialect(read_request, _response, lambda whole, body: events(whole), output_characters)
MESSAGES = Dialect(read_messages, _message, lambda whole, body: message_events(whole), message_characters)
CHAT = Dialect(
    read_chat, _completion, lambda whole, body: chunks(whole, usage=wants_usage(body)), completion_characters
)

DIALECTS: Mapping[tuple[ModelApi, str], Dialect] = {
    ("openai", "responses"): RESPONSES,
    ("openai", "chat/completions"): CHAT,
    ("anthropic", "messages"): MESSAGES,
}
"""By API and path (what follows ``/v1/``)."""


def spoken(api: ModelApi) -> str:
    """The paths of an API, in words."""
    return " and ".join(f"POST {path}" for spoken_api, path in DIALECTS if spoken_api == api)
