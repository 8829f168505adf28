"""A program that speaks ACP and does what its prompts say; run as a process of its own by the tests of AcpRuntime."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import acp
from acp import schema
from acp.interfaces import Client


class ScriptedAgent:
    """Sessions are files in the working folder: one line a prompt."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._cancelled = asyncio.Event()

    def on_connect(self, client: Client) -> None:
        self._client = client

    async def initialize(self, protocol_version: int, **_: Any) -> schema.InitializeResponse:
        return schema.InitializeResponse(protocol_version=2 if "future" in sys.argv else 1)

    async def new_session(self, cwd: str, mcp_servers: Any = None, **_: Any) -> schema.NewSessionResponse:
        number = len(list(Path(cwd).glob("*.session"))) + 1
        Path(cwd, f"s{number}.session").touch()
        Path(cwd, "servers.txt").write_text(" ".join(server.url for server in mcp_servers or []))
        return schema.NewSessionResponse(session_id=f"s{number}")

    async def load_session(self, cwd: str, session_id: str, **_: Any) -> schema.LoadSessionResponse:
        file = Path(cwd, f"{session_id}.session")
        if not file.exists():
            raise acp.RequestError.resource_not_found(session_id)
        for line in file.read_text().splitlines():
            await self._tell(session_id, acp.update_user_message_text(line))
            await self._tell(session_id, acp.update_agent_message_text("an old answer"))
        return schema.LoadSessionResponse()

    async def cancel(self, session_id: str, **_: Any) -> None:
        self._cancelled.set()

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> schema.PromptResponse:
        text = prompt[0].text
        with Path(f"{session_id}.session").open("a") as file:
            file.write(text.replace("\n", " ") + "\n")
        if text == "die":
            sys.stderr.write("Traceback\n    at nowhere\nthe disk is full\n")
            sys.stderr.flush()
            os._exit(7)
        if text == "wait":
            await self._tell(session_id, acp.update_agent_message_text("waiting"))
            await self._cancelled.wait()
            return schema.PromptResponse(stop_reason="cancelled")
        if text.startswith("ask"):
            return await self._ask(session_id, ends="stop" in text)
        if text == "fill":
            return await self._fill(session_id)
        if text == "refuse":
            raise acp.RequestError.internal_error({"details": "not today"})
        for number in range(20):
            await self._tell(session_id, acp.update_agent_message_text(f"{number} "))
        await self._tell(
            session_id, acp.update_plan([acp.plan_entry("think", status="completed"), acp.plan_entry("do")])
        )
        await self._tell(session_id, acp.update_agent_message_text(f"got: {text}"))
        usage = schema.Usage(total_tokens=12, input_tokens=4, output_tokens=5, cached_read_tokens=3)
        return schema.PromptResponse(stop_reason="end_turn", usage=usage)

    async def _ask(self, session_id: str, *, ends: bool) -> schema.PromptResponse:
        start = acp.start_tool_call("c1", "Remove it", kind="execute", raw_input={"command": ["rm", "a b"]})
        await self._tell(session_id, start)
        assert self._client is not None
        options = [
            schema.PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
            schema.PermissionOption(option_id="no", name="No", kind="reject_once"),
        ]
        asked = schema.ToolCallUpdate(tool_call_id="c1", title="Remove it", raw_input={"command": ["rm", "a b"]})
        answer = await self._client.request_permission(session_id=session_id, tool_call=asked, options=options)
        chosen = answer.outcome.option_id if isinstance(answer.outcome, schema.AllowedOutcome) else "cancelled"
        await self._tell(session_id, acp.update_agent_message_text(f"answer: {chosen}"))
        return schema.PromptResponse(stop_reason="cancelled" if ends and chosen != "yes" else "end_turn")

    async def _fill(self, session_id: str) -> schema.PromptResponse:
        assert self._client is not None
        colour = schema.ElicitationStringPropertySchema(type="string", title="Colour", enum=["red", "blue"])
        wanted = schema.ElicitationSchema(properties={"colour": colour})
        mode = schema.ElicitationFormSessionMode(session_id=session_id, requested_schema=wanted)
        answer = await self._client.create_elicitation(message="Which colour?", mode=mode)
        content = answer.content if isinstance(answer, schema.AcceptElicitationResponse) else None
        await self._tell(session_id, acp.update_agent_message_text(f"{answer.action}: {content}"))
        return schema.PromptResponse(stop_reason="end_turn")

    async def _tell(self, session_id: str, update: Any) -> None:
        assert self._client is not None
        await self._client.session_update(session_id=session_id, update=update)


if __name__ == "__main__":
    if "mute" in sys.argv:
        sys.exit("no room in here")
    asyncio.run(acp.run_agent(ScriptedAgent(), use_unstable_protocol=True))  # type: ignore[arg-type]  # it serves what the tests ask for
