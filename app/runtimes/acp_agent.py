"""Any program that speaks ACP, started by the command that agents.yaml gives."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from app.domain.ports import Brief, Sandbox
from app.runtimes.acp import AcpRuntime
from app.runtimes.codex_config import PLACEHOLDER, REHEARSAL


class AcpAgent(AcpRuntime):
    """It is told where its model is in the variables that most programs read; what else it needs is its own affair.

    Where it reads standing orders from is not known: they come with the first prompt of a conversation.
    """

    def __init__(self, command: Sequence[str], *, home: str = "/home/agent", workspace: str = "/workspace") -> None:
        """``command`` is a program and its arguments, as found inside the machine; so are the paths."""
        env = {"HOME": home, "OPENAI_API_KEY": PLACEHOLDER, "ANTHROPIC_API_KEY": PLACEHOLDER, "NO_BROWSER": "1"}
        super().__init__(f"exec {shlex.join(command)}", workspace=workspace, env=env)
        self.name = command[0].rpartition("/")[2]

    async def prepare(self, sandbox: Sandbox, brief: Brief) -> None:
        """Keep the brief, and where the model is."""
        await super().prepare(sandbox, brief)
        self._env |= {
            "OPENAI_BASE_URL": f"{brief.gateway_url}/openai/v1",
            "ANTHROPIC_BASE_URL": f"{brief.gateway_url}/anthropic",
        }
        model = brief.model or (REHEARSAL if brief.provider == REHEARSAL else None)
        if model:
            self._env |= {"OPENAI_MODEL": model, "ANTHROPIC_MODEL": model}

    def opening(self, brief: Brief, prompt: str) -> str:
        """The standing orders stand before the first prompt."""
        return f"{brief.agents_md.strip()}\n\n---\n\n{prompt}"
