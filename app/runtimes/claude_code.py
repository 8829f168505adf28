"""Claude Code, driven through its ACP adapter."""

from __future__ import annotations

import json
from typing import Any, Final

from app.domain.ports import Brief, Sandbox
from app.runtimes.acp import AcpRuntime
from app.runtimes.acp_program import AcpProgram
from app.runtimes.codex_config import PLACEHOLDER, REHEARSAL

_ASKED_ABOUT: Final = ("Bash", "Edit", "Write", "NotebookEdit")
_SWITCHED_OFF: Final = ("WebFetch", "WebSearch", "Task", "EnterWorktree")
"""Tools that need the internet, or do what Skerry does itself."""


class ClaudeCodeRuntime(AcpRuntime):
    """The ``claude-code`` tool pack. Its files are in ``$CLAUDE_CONFIG_DIR``: nothing of ours is in the workspace."""

    name = "Claude Code"

    def __init__(
        self, *, home: str = "/home/agent", workspace: str = "/workspace", pack: str = "/opt/packs/claude-code"
    ) -> None:
        """Paths are those inside the machine."""
        self._config = f"{home}/.claude"
        env = {
            "HOME": home,
            "CLAUDE_CONFIG_DIR": self._config,
            "ANTHROPIC_API_KEY": PLACEHOLDER,
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_DISABLE_TERMINAL_TITLE": "1",
            "ENABLE_TOOL_SEARCH": "false",
            "MCP_TIMEOUT": "120000",
            "MCP_TOOL_TIMEOUT": "600000",
            "BASH_DEFAULT_TIMEOUT_MS": "600000",
            "BASH_MAX_TIMEOUT_MS": "7200000",
            "IS_SANDBOX": "1",
        }
        super().__init__(f"exec {pack}/bin/claude-agent-acp", workspace=workspace, env=env)

    async def prepare(self, sandbox: Sandbox, brief: Brief) -> None:
        """Write CLAUDE.md and settings.json; both are read when the program starts."""
        await super().prepare(sandbox, brief)
        self._env["ANTHROPIC_BASE_URL"] = f"{brief.gateway_url}/anthropic"
        model = brief.model or (REHEARSAL if brief.provider == REHEARSAL else None)
        if model:
            self._env |= {"ANTHROPIC_MODEL": model, "ANTHROPIC_SMALL_FAST_MODEL": model}
        files = {"CLAUDE.md": brief.agents_md, "settings.json": json.dumps(settings(), indent=1) + "\n"}
        await sandbox.write_files(self._config, {name: text.encode() for name, text in files.items()}, mode=0o600)

    async def session_loaded(self, program: AcpProgram, session: str, brief: Brief) -> None:
        """Its name is not loaded with it."""
        await self.session_begun(program, session, brief)

    async def session_begun(self, program: AcpProgram, session: str, brief: Brief) -> None:
        """Name the session; without a name the adapter pays the model to think one up."""
        await program.prompt(session, f"/rename {brief.agent}")


def settings() -> dict[str, Any]:
    """Claude Code's own settings: it asks before each command and each change of a file, and the rules answer."""
    permissions = {
        "allow": ["mcp__skerry"],
        "ask": list(_ASKED_ABOUT),
        "deny": list(_SWITCHED_OFF),
        "defaultMode": "default",
    }
    return {"permissions": permissions, "includeCoAuthoredBy": False, "cleanupPeriodDays": 3650}
