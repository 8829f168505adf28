"""The tools of ``app.domain.actions`` over MCP: stateless streamable HTTP, so that no session can be lost."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.types import Receive, Scope, Send

from app import __version__
from app.domain.actions import ACTIONS, Action, help_text, schema
from app.domain.errors import SkerryError
from app.domain.ports import ActionHandler, ActionResult
from app.domain.text import printable
from app.gateway.replies import MAX_TOOL_BODY_BYTES, problem

DOOR_KEY = "skerry.door"
"""Where the door's key stands in the ASGI scope; set by the gateway, out of the guest's reach."""
_READS = frozenset({"memory_read", "memory_search", "read_inbox"})
_MAX_CALL_ID = 200
_MAX_REFUSAL = 4000
_log = logging.getLogger(__name__)


class ToolServer:
    """An ASGI application for ``/mcp``. ``start`` before the first request, ``stop`` after the last."""

    def __init__(self, handler: ActionHandler) -> None:
        self._handler = handler
        self._server: Server[Any] = Server(
            "skerry",
            version=__version__,
            instructions="Your memory, your messages to other agents and the user, and the end of your task.",
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )
        self._manager = StreamableHTTPSessionManager(
            self._server, json_response=True, stateless=True, max_request_body_size=MAX_TOOL_BODY_BYTES
        )
        self._runner: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Make ready to serve; safe to repeat."""
        if self._runner is None:
            # It tells of every stateless request's end.
            logging.getLogger("mcp.server").setLevel(logging.WARNING)
            ready = asyncio.Event()
            self._runner = asyncio.create_task(self._run(ready), name="tool server")
            await ready.wait()

    async def _run(self, ready: asyncio.Event) -> None:
        # The manager's task group must be left by the task that entered it, hence a task of its own.
        async with self._manager.run():
            ready.set()
            await self._stopping.wait()

    async def stop(self) -> None:
        """Cut what still runs; safe to repeat."""
        self._stopping.set()
        if self._runner is not None:
            await asyncio.wait({self._runner})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. There is no stream to GET and no session to DELETE: 405, as MCP has it."""
        if scope["method"] != "POST":
            reply = problem(
                405, "only POST is served here: this MCP server keeps no session", headers={"allow": "POST"}
            )
            await reply(scope, receive, send)
            return
        await self._manager.handle_request(scope, receive, send)

    async def _list_tools(
        self, context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[describe(action) for action in ACTIONS])

    async def _call_tool(self, context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        key = str(context.request.scope[DOOR_KEY]) if context.request is not None else ""
        result = await self.perform(key, params.name, params.arguments or {}, call_id(context.meta))
        return CallToolResult(content=[TextContent(type="text", text=result.text)], is_error=not result.ok)

    async def perform(self, key: str, name: str, arguments: Mapping[str, object], call: str) -> ActionResult:
        """What the agent behind the door ``key`` is told of a tool call; never raises but when it is cancelled."""
        try:
            return await self._handler(key, name, arguments, call)
        except SkerryError as error:
            # A refusal may repeat the guest's own words (an unknown field's name); half a character has no UTF-8.
            return ActionResult(printable(str(error))[:_MAX_REFUSAL], ok=False)
        except Exception:
            _log.exception("the tool %s failed for %s", name, key)
            return ActionResult(
                "the tool failed inside Skerry; try again, and tell the user if it fails again", ok=False
            )


def describe(action: type[Action]) -> Tool:
    """A tool as MCP lists it."""
    return Tool(
        name=action.name,
        description=help_text(action),
        input_schema=schema(action),
        annotations=ToolAnnotations(
            read_only_hint=action.name in _READS, destructive_hint=False, open_world_hint=False
        ),
    )


def call_id(meta: Mapping[str, Any] | None) -> str:
    """The client's own id of the tool call when it tells one, else a new one: JSON-RPC ids are not unique."""
    found = (meta or {}).get("callId") or (meta or {}).get("claudecode/toolUseId")
    if isinstance(found, str) and 0 < len(found) <= _MAX_CALL_ID and found.isprintable():
        return found
    return uuid.uuid4().hex
