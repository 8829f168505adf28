"""Codex, driven through its ACP adapter."""

from __future__ import annotations

from typing import Any, Final

from acp.schema import AgentMessageChunk, HttpMcpServer, SessionInfoUpdate, TextContentBlock

from app.domain.ports import Brief, Sandbox
from app.runtimes.acp import AcpRuntime
from app.runtimes.acp_program import AcpProgram
from app.runtimes.codex_config import GATE, config_toml, gate, rehearsal_catalogue

_HARMLESS: Final = ("Warning:", "Config warning:", "*Context compacted")


class CodexRuntime(AcpRuntime):
    """The ``codex`` tool pack. Its files are in ``$CODEX_HOME``, so that nothing of ours is in the user's workspace."""

    name = "Codex"

    def __init__(
        self,
        *,
        home: str = "/home/agent",
        workspace: str = "/workspace",
        pack: str = "/opt/packs/codex",
        mode: str = "agent-full-access",
    ) -> None:
        """Paths are those inside the machine; ``mode`` is the adapter's preset for approvals and sandbox."""
        self._codex_home = f"{home}/.codex"
        env = {
            "HOME": home,
            "CODEX_HOME": self._codex_home,
            "CODEX_PATH": f"{self._codex_home}/{GATE}",
            "INITIAL_AGENT_MODE": mode,
            "NO_BROWSER": "1",
            "CODEX_ACP_PROMPT_SUGGESTIONS": "false",
        }
        self._codex = f"{pack}/bin/codex"
        super().__init__(f"exec {pack}/bin/codex-acp", workspace=workspace, env=env)

    async def prepare(self, sandbox: Sandbox, brief: Brief) -> None:
        """Write AGENTS.md (Codex's global instructions) and config.toml; both are read when the program starts."""
        await super().prepare(sandbox, brief)
        catalogue = "models.json"
        files = {
            "AGENTS.md": brief.agents_md,
            catalogue: rehearsal_catalogue(),
            "config.toml": config_toml(brief, catalogue=f"{self._codex_home}/{catalogue}"),
        }
        await sandbox.write_files(self._codex_home, {name: text.encode() for name, text in files.items()}, mode=0o600)
        await sandbox.write_file(f"{self._codex_home}/{GATE}", gate(self._codex).encode(), mode=0o700)

    def mcp_servers(self, brief: Brief) -> list[HttpMcpServer]:
        """None: they are in config.toml, where ``required`` and the time-outs can be said."""
        return []

    async def session_begun(self, program: AcpProgram, session: str, brief: Brief) -> None:
        """Name the session; without a name the adapter pays a second model to think one up."""
        await program.prompt(session, f"/rename {brief.agent}")

    def notice(self, update: Any) -> str | None:
        """The adapter's warnings and failures: message chunks without an id, and errors that Codex retries."""
        match update:
            case AgentMessageChunk(message_id=None, content=TextContentBlock(text=text)):
                return text.strip()
            case SessionInfoUpdate(field_meta={"codex": {"error": {"message": str(message)} as error}}):
                details = error.get("additionalDetails")
                return f"Warning: {message}{f' ({details})' if details else ''}"
        return None

    def failure_in(self, notice: str) -> str:
        """A turn whose last notice is no warning has failed, although the adapter reports its end as a normal one."""
        return "" if notice.startswith(_HARMLESS) else notice
