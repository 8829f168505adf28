"""What an ACP program reports during a turn, in the words of a TurnObserver."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from acp.schema import (
    ContentToolCallContent,
    FileEditToolCallContent,
    TerminalToolCallContent,
    TextContentBlock,
    ToolCall,
    ToolCallUpdate,
)

from app.domain.ports import ToolActivity

OUTPUT_LIMIT = 1_048_576
"""Characters of one tool call's output that are kept; of the rest only the number is told."""

_EXIT_CODE = re.compile(r"\AExit code -?\d{1,3}(?:\n|$)")
_MCP_NAME = re.compile(r"mcp__(\w+?)__(\w+)")

Content = ContentToolCallContent | FileEditToolCallContent | TerminalToolCallContent


@dataclass(slots=True)
class _Output:
    """The output of a command as it grows, kept up to a limit."""

    pieces: list[str] = field(default_factory=list)
    kept: int = 0
    dropped: int = 0

    def add(self, piece: str) -> None:
        room = OUTPUT_LIMIT - self.kept
        if room > 0 and piece:
            self.pieces.append(piece[:room])
        self.kept += min(len(piece), max(room, 0))
        self.dropped += max(len(piece) - max(room, 0), 0)

    def drop_status(self) -> None:
        """Leave out the first line that Claude Code writes above the output of a command that failed."""
        if self.pieces:
            self.pieces[0] = _EXIT_CODE.sub("", self.pieces[0])

    def text(self) -> str:
        if len(self.pieces) > 1:
            self.pieces[:] = ["".join(self.pieces)]
        cut = f"\n[{self.dropped} more characters were not kept]\n" if self.dropped else ""
        return "".join(self.pieces) + cut


@dataclass(slots=True)
class _Call:
    """All that was reported of one tool call so far."""

    title: str = ""
    name: str = ""
    """The title as it came last."""
    kind: str = "other"
    status: str = "pending"
    command: str = ""
    exit_status: int | None = None
    streamed: _Output = field(default_factory=_Output)
    result: str = ""
    paths: tuple[str, ...] = ()


class ToolCalls:
    """The tool calls that go on in a session; each report updates one and gives back the whole of it.

    Command output and exit status come in ``_meta`` (``terminal_output_delta``, ``terminal_exit``), a convention of
    the ACP adapters for clients that run no terminals themselves; the results of other tools come as content.
    """

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def update(self, update: ToolCall | ToolCallUpdate) -> ToolActivity:
        """Take in one report."""
        call = self._calls.setdefault(update.tool_call_id, _Call())
        call.kind = update.kind or call.kind
        call.status = update.status or call.status
        call.command = command_of(update.raw_input) or call.command
        meta = update.field_meta or {}
        call.streamed.add(_streamed(meta))
        call.result = _result(update.content, update.raw_output) or call.result
        exit_status = _exit_status(meta, update.raw_output)
        call.exit_status = call.exit_status if exit_status is None else exit_status
        call.paths = tuple(dict.fromkeys((*call.paths, *paths_in(update))))
        if update.title:
            call.title = call.name = update.title
        call.title = _mcp_title(call.name, update.raw_input) or call.title
        if call.status == "failed" and "claudeCode" in meta:
            call.streamed.drop_status()
        if call.status in ("completed", "failed"):
            del self._calls[update.tool_call_id]
        return ToolActivity(
            call_id=update.tool_call_id,
            title=call.title,
            kind=call.kind,
            status=call.status,
            command=call.command,
            output=call.streamed.text() or call.result[:OUTPUT_LIMIT],
            exit_status=call.exit_status,
        )

    def paths_of(self, call_id: str) -> tuple[str, ...]:
        """The files that a call under way is said to change."""
        call = self._calls.get(call_id)
        return () if call is None else call.paths


def paths_in(update: ToolCall | ToolCallUpdate) -> tuple[str, ...]:
    """The files that a report says a call changes."""
    edited = [item.path for item in update.content or () if isinstance(item, FileEditToolCallContent)]
    return (*edited, *(location.path for location in update.locations or ()))


def command_of(raw_input: object) -> str:
    """The command line in the input of a tool call, empty when it is not one that runs commands."""
    command = raw_input.get("command") if isinstance(raw_input, Mapping) else None
    if isinstance(command, str):
        return command
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        return shlex.join(command)
    return ""


def folder_of(raw_input: object) -> str:
    """The folder a command is to run in, empty when it is not said."""
    folder = raw_input.get("cwd") if isinstance(raw_input, Mapping) else None
    return folder if isinstance(folder, str) else ""


def _mcp_title(name: str, given: object) -> str:
    """``server: tool {arguments}`` for a tool of an MCP server, else empty.

    Codex's adapter has all three in the input; Claude Code's has the first two in the title, as its model knows them.
    """
    if not isinstance(given, Mapping):
        return ""
    named = _MCP_NAME.fullmatch(name)
    server, tool = named.groups() if named else (given.get("server"), given.get("tool"))
    if not isinstance(server, str) or not isinstance(tool, str):
        return ""
    arguments = json.dumps(given if named else given.get("arguments") or {}, ensure_ascii=False)
    return f"{server}: {tool} {arguments if len(arguments) <= 200 else arguments[:199] + '…'}"


def _streamed(meta: Mapping[str, Any]) -> str:
    chunk = meta.get("terminal_output_delta") or meta.get("terminal_output")
    data = chunk.get("data") if isinstance(chunk, Mapping) else None
    return data if isinstance(data, str) else ""


def _exit_status(meta: Mapping[str, Any], raw_output: object) -> int | None:
    for found in (meta.get("terminal_exit"), raw_output):
        status = found.get("exit_code") if isinstance(found, Mapping) else None
        if isinstance(status, int):
            return status
    return None


def _result(content: Iterable[Content] | None, raw_output: object) -> str:
    return "\n".join(filter(None, map(_content_text, content or ()))) or _raw_text(raw_output)


def _content_text(item: Content) -> str:
    if isinstance(item, FileEditToolCallContent):
        before, after = (item.old_text or "").splitlines(keepends=True), item.new_text.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, item.path if item.old_text else "/dev/null", item.path))
    if isinstance(item, ContentToolCallContent) and isinstance(item.content, TextContentBlock):
        return item.content.text
    return ""


def _raw_text(raw: object) -> str:
    """The text in a tool's own result: a string, or what an MCP server answered."""
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, Mapping):
        return ""
    error, result = raw.get("error"), raw.get("result")
    if isinstance(error, Mapping) and isinstance(error.get("message"), str):
        return str(error["message"])
    blocks = result.get("content") if isinstance(result, Mapping) else None
    texts = [block.get("text") for block in blocks if isinstance(block, Mapping)] if isinstance(blocks, list) else []
    return "\n".join(text for text in texts if isinstance(text, str))
