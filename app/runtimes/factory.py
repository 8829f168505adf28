"""Which runtime drives which type of agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from app.domain.errors import RuntimeFailure
from app.domain.ports import AgentRuntime
from app.runtimes.anthropic_loop import AnthropicLoop
from app.runtimes.codex import CodexRuntime
from app.runtimes.openai_loop import OpenAILoop

_RUNTIMES: Final[Mapping[str, Callable[[], AgentRuntime]]] = {
    "codex": CodexRuntime,
    "openai": OpenAILoop,
    "anthropic": AnthropicLoop,
}


class UnsupportedAgent(RuntimeFailure):
    """No runtime drives agents of this type."""

    code = "unsupported_agent"
    retryable = False


def supported_types() -> frozenset[str]:
    """The types that ``make_runtime`` makes."""
    return frozenset(_RUNTIMES)


def make_runtime(agent_type: str) -> AgentRuntime:
    """A new runtime for one agent. Raises UnsupportedAgent for a type that nothing drives."""
    make = _RUNTIMES.get(agent_type)
    if make is None:
        raise UnsupportedAgent(
            f"agents of type {agent_type} cannot be run by this version of Skerry",
            operation="choose a runtime",
            hint=f"supported types: {', '.join(sorted(_RUNTIMES))}",
        )
    return make()
