"""Agents whose model is asked over the OpenAI API: Responses, or Chat Completions for servers that speak that alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from openai import AsyncOpenAI

from app.domain.loops import LoopReply, ModelAsk
from app.domain.ports import Hear
from app.runtimes.api_loop import PLACEHOLDER, SDK_RETRIES, TIMEOUT, ApiLoop
from app.runtimes.openai_chat import ask_chat
from app.runtimes.openai_responses import ask_responses

CHAT: Final = "openai-chat"


class OpenAILoop(ApiLoop):
    """The official SDK, through the agent's door."""

    name: ClassVar[str] = "the OpenAI API"
    default_model: ClassVar[str] = "gpt-5.4"

    def __init__(self) -> None:
        super().__init__()
        self._client: AsyncOpenAI | None = None

    async def close(self) -> None:
        """Drop connections. Safe to repeat."""
        await super().close()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _once(self, ask: ModelAsk, hear: Hear) -> LoopReply:
        call = ask_chat if self.brief.api == CHAT else ask_responses
        return await call(self._sdk(), await self.model(), self.system, ask, hear)

    async def _listed(self) -> Sequence[str]:
        return [model.id async for model in self._sdk().models.list()]

    def _sdk(self) -> AsyncOpenAI:
        if self._client is None:
            self._client = AsyncOpenAI(
                base_url="http://door/openai/v1",
                api_key=PLACEHOLDER,
                http_client=self.door(),
                max_retries=SDK_RETRIES,
                timeout=TIMEOUT,
            )
        return self._client
