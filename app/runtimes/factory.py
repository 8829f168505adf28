"""Which runtime drives which type of agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from app.domain.fleet import AgentSpec, AgentType
from app.domain.ports import AgentRuntime
from app.runtimes.acp_agent import AcpAgent
from app.runtimes.anthropic_loop import AnthropicLoop
from app.runtimes.claude_code import ClaudeCodeRuntime
from app.runtimes.codex import CodexRuntime
from app.runtimes.openai_loop import OpenAILoop

_RUNTIMES: Final[Mapping[AgentType, Callable[[AgentSpec], AgentRuntime]]] = {
    "acp": lambda spec: AcpAgent(spec.command),
    "anthropic": lambda _: AnthropicLoop(),
    "claude-code": lambda _: ClaudeCodeRuntime(),
    "codex": lambda _: CodexRuntime(),
    "openai": lambda _: OpenAILoop(),
}


def make_runtime(spec: AgentSpec) -> AgentRuntime:
    """A new runtime for one agent."""
    return _RUNTIMES[spec.type](spec)
