"""What the loops on model APIs have in common: the way through the agent's door, tries, and errors in our words."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import ClassVar, Final

import httpx2
from anthropic import APIConnectionError as AnthropicUnreachable
from anthropic import APIError as AnthropicError
from anthropic import APIStatusError as AnthropicStatus
from openai import APIConnectionError as OpenAIUnreachable
from openai import APIError as OpenAIError
from openai import APIStatusError as OpenAIStatus

from app.domain.errors import RuntimeFailure
from app.domain.loops import ContextOverflow, LoopReply, ModelAsk, ModelRefused
from app.domain.ports import Brief, Hear, Sandbox, TurnObserver, TurnOutcome, TurnRequest

PLACEHOLDER: Final = "held-by-the-gateway"
"""Instead of a key: the gateway puts the real one in its place."""
REHEARSAL: Final = "rehearsal"
SDK_RETRIES: Final = 3
"""Of a request that was not served (connection, 408, 409, 429, 5xx), by the SDK, which heeds ``retry-after``."""
TRIES: Final = 3
"""Of an answer that broke off in the middle."""
PAUSE_SECONDS: Final = 1.0
TIMEOUT: Final = httpx2.Timeout(600, connect=10)
"""Seconds without any byte; a local model may think for minutes before its first one."""
TOOLS_NOTE: Final = """
## Your tools

You act only through the tools of this conversation. run_command runs commands in your machine; read_file, write_file
and edit_file are for its files. Where this page names tools of the MCP server `skerry`, these are among them. Several
calls of one answer run at the same time: put those into one answer that do not need each other.
"""
_TOO_LONG = re.compile(
    r"prompt is too long|input is too long|context[ _](length|window|size)|maximum context|exceed_context_size"
    r"|too many (input )?tokens",
    re.I,
)
_FINAL: Final = frozenset({400, 401, 402, 403, 404, 405, 413, 422})
_Failures = (AnthropicError, OpenAIError, httpx2.HTTPError, httpx2.StreamError)
log = logging.getLogger(__name__)


class BrokenAnswer(RuntimeFailure):
    """An answer ended before it was whole."""


class ApiLoop:
    """One agent's way to its model. A subclass speaks one API; the key is the gateway's."""

    name: ClassVar[str] = "the model"
    default_model: ClassVar[str] = ""
    pause_seconds: ClassVar[float] = PAUSE_SECONDS

    def __init__(self) -> None:
        self._brief: Brief | None = None
        self._model: str | None = None

    async def prepare(self, sandbox: Sandbox, brief: Brief) -> None:
        """Keep the brief: nothing of ours is in the machine."""
        if self._brief is not None and self._brief != brief:
            await self.close()
        self._brief = brief

    async def run_turn(self, sandbox: Sandbox, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
        """Never in one go: the agent's workflow goes step by step."""
        raise RuntimeFailure("this agent's turns are taken step by step", operation="run a turn")

    async def cancel_turn(self) -> None:
        """A step that is cancelled ends by itself."""

    async def close(self) -> None:
        """Drop connections. Safe to repeat."""
        self._model = None

    async def ask(self, ask: ModelAsk, hear: Hear) -> LoopReply:
        """One model call; an answer that breaks off is asked for again, a bounded number of times."""
        for number in range(1, TRIES + 1):
            try:
                return await self._once(ask, hear)
            except _Failures as error:
                failure = in_our_words(error, self.name)
            except BrokenAnswer as error:
                failure = error
            if not isinstance(failure, BrokenAnswer) or number == TRIES:
                raise failure
            log.info("%s: %s; it is asked again", self.name, failure)
            await asyncio.sleep(self.pause_seconds * number)
        raise AssertionError("unreachable")

    async def _once(self, ask: ModelAsk, hear: Hear) -> LoopReply:
        raise NotImplementedError

    async def _listed(self) -> Sequence[str]:
        """The models that the provider has."""
        raise NotImplementedError

    @property
    def brief(self) -> Brief:
        """What ``prepare`` was given."""
        if self._brief is None:
            raise RuntimeFailure("the agent was not prepared", operation="ask the model", hint="call prepare first")
        return self._brief

    @property
    def system(self) -> str:
        """The standing orders."""
        return self.brief.agents_md + TOOLS_NOTE

    async def model(self) -> str:
        """The model to ask: of agents.yaml, of the vendor's own provider the default, else the first that is there."""
        brief = self.brief
        if self._model is None:
            self._model = brief.model or (REHEARSAL if brief.provider == REHEARSAL else "")
        if not self._model and brief.provider in ("openai", "anthropic"):
            self._model = self.default_model
        if not self._model:
            listed = await self._listed()
            if not listed:
                words = f"the provider {brief.provider} lists no model"
                raise ModelRefused(words, operation="choose a model", hint="name one: 'model' in agents.yaml")
            self._model = listed[0]
        return self._model

    def door(self) -> httpx2.AsyncClient:
        """A client that reaches the agent's own door and nothing else."""
        if self.brief.door is None:
            raise RuntimeFailure("the agent has no door", operation="ask the model")
        return httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(self.brief.door)), timeout=TIMEOUT)


def in_our_words(error: Exception, name: str) -> RuntimeFailure:
    """An SDK's error as ours: too long, not to be served at all, broken off, or to be tried again later."""
    text = str(getattr(error, "message", "") or error)[:500]
    operation = f"ask {name}"
    if isinstance(error, AnthropicStatus | OpenAIStatus):
        status = error.status_code
        if status in (400, 413, 500) and (getattr(error, "code", "") == "context_length_exceeded" or too_long(text)):
            return ContextOverflow(f"the conversation is too long: {text}", operation=operation)
        words = f"the model provider answered {status}: {text}"
        if status in _FINAL:
            hint = "look at 'model', 'provider' and the provider's credential in agents.yaml"
            return ModelRefused(words, operation=operation, hint=hint)
        return RuntimeFailure(words, operation=operation)
    if isinstance(error, AnthropicUnreachable | OpenAIUnreachable):
        return RuntimeFailure(f"the model could not be reached: {text}", operation=operation)
    if too_long(text):
        return ContextOverflow(f"the conversation is too long: {text}", operation=operation)
    return BrokenAnswer(f"the answer of the model broke off: {text or type(error).__name__}", operation=operation)


def too_long(text: str) -> bool:
    """Whether a provider complains about the length of a conversation; each has words of its own for that."""
    return _TOO_LONG.search(text) is not None
