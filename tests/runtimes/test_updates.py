"""How reports of tool calls become ToolActivity; the reports are those codex-acp 2.6 sends."""

from __future__ import annotations

from typing import Any

import pytest
from acp.schema import AgentMessageChunk, SessionInfoUpdate, TextContentBlock, ToolCallProgress, ToolCallStart

from app.domain.ports import ToolActivity
from app.runtimes.acp_updates import OUTPUT_LIMIT, ToolCalls, command_of
from app.runtimes.codex import CodexRuntime


def started(**fields: Any) -> ToolCallStart:
    return ToolCallStart.model_validate({"sessionUpdate": "tool_call", "toolCallId": "c1", "title": "t", **fields})


def went_on(**fields: Any) -> ToolCallProgress:
    return ToolCallProgress.model_validate({"sessionUpdate": "tool_call_update", "toolCallId": "c1", **fields})


def piece(text: str) -> dict[str, Any]:
    return {"terminal_output_delta": {"data": text, "terminal_id": "c1"}}


def test_a_command_from_begin_to_end() -> None:
    calls = ToolCalls()
    first = calls.update(
        started(title="make", kind="execute", status="in_progress", rawInput={"command": "make", "cwd": "/workspace"})
    )
    assert first == ToolActivity("c1", "make", "execute", "in_progress", command="make")
    calls.update(went_on(_meta=piece("one\n")))
    second = calls.update(went_on(_meta=piece("two\n")))
    assert (second.output, second.status, second.title) == ("one\ntwo\n", "in_progress", "make")
    end = {"terminal_exit": {"exit_code": 2, "signal": None, "terminal_id": "c1"}}
    last = calls.update(went_on(status="failed", _meta=end | piece("three\n")))
    assert last == ToolActivity("c1", "make", "execute", "failed", "make", "one\ntwo\nthree\n", 2)


def test_a_tool_of_an_mcp_server() -> None:
    calls = ToolCalls()
    asked = {"server": "skerry", "tool": "send_message", "arguments": {"recipient": "a", "body": "ü" * 300}}
    first = calls.update(started(title="mcp.skerry.send_message", rawInput=asked))
    assert first.title.startswith('skerry: send_message {"recipient": "a", "body": "üü')
    assert len(first.title) < 230
    answer = {"result": {"content": [{"type": "text", "text": "accepted"}, {"type": "image"}]}, "error": None}
    last = calls.update(went_on(status="completed", rawOutput=answer))
    assert (last.output, last.title, last.exit_status) == ("accepted", first.title, None)
    failure = {"result": None, "error": {"message": "timed out"}}
    assert calls.update(started(status="failed", rawOutput=failure)).output == "timed out"


def test_an_edit_shows_as_a_diff() -> None:
    change = {"type": "diff", "path": "a.py", "oldText": "x = 1\n", "newText": "x = 2\n"}
    activity = ToolCalls().update(started(kind="edit", status="completed", content=[change]))
    assert activity.output == "--- a.py\n+++ a.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
    new = {"type": "diff", "path": "b.py", "newText": "y\n"}
    assert ToolCalls().update(started(kind="edit", content=[new])).output.startswith("--- /dev/null\n+++ b.py\n")


def test_output_without_end_is_kept_up_to_a_limit() -> None:
    calls = ToolCalls()
    calls.update(started(_meta=piece("x" * (OUTPUT_LIMIT - 1))))
    activity = calls.update(went_on(_meta=piece("yz")))
    assert activity.output[OUTPUT_LIMIT - 2 :] == "xy\n[1 more characters were not kept]\n"


@pytest.mark.parametrize(
    ("raw", "command"),
    [
        ({"command": "ls -l"}, "ls -l"),
        ({"command": ["sh", "-c", "a b"]}, "sh -c 'a b'"),
        ({"command": 3}, ""),
        ({}, ""),
        (None, ""),
        ("ls", ""),
    ],
)
def test_command_of(raw: object, command: str) -> None:
    assert command_of(raw) == command


@pytest.mark.parametrize(
    "report",
    [
        {"_meta": {"terminal_output_delta": "text", "terminal_exit": [1]}},
        {"_meta": {"terminal_output_delta": {"data": 5}, "terminal_exit": {"exit_code": "1"}}},
        {"rawOutput": {"result": {"content": "text"}, "error": "bad"}},
        {"rawOutput": [1, 2]},
        {"rawInput": {"server": 1, "tool": None}},
        {"content": [{"type": "terminal", "terminalId": "c1"}]},
    ],
)
def test_hostile_reports_are_harmless(report: dict[str, Any]) -> None:
    assert ToolCalls().update(started(**report)) == ToolActivity("c1", "t", "other", "pending")


def said(text: str, message_id: str | None) -> AgentMessageChunk:
    content = TextContentBlock(type="text", text=text)
    return AgentMessageChunk(session_update="agent_message_chunk", content=content, message_id=message_id)


def test_codex_notices_are_not_the_agents_words() -> None:
    runtime = CodexRuntime()
    assert runtime.notice(said("hello", "m1")) is None
    assert runtime.notice(said("Warning: unknown model\n\n", None)) == "Warning: unknown model"
    error = {"message": "Reconnecting... 1/100", "additionalDetails": "refused", "willRetry": True}
    info = SessionInfoUpdate(session_update="session_info_update", field_meta={"codex": {"error": error}})
    assert runtime.notice(info) == "Warning: Reconnecting... 1/100 (refused)"
    idle = {"codex": {"threadStatus": {"type": "idle"}}}
    assert runtime.notice(SessionInfoUpdate(session_update="session_info_update", field_meta=idle)) is None
    assert runtime.failure_in("Warning: unknown model") == "" == runtime.failure_in("")
    assert runtime.failure_in("exceeded retry limit, last status: 429") != ""
