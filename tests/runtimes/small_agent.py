"""A small agent that speaks ACP, in plain Python: it runs in a machine that has nothing but that.

It asks an OpenAI-compatible model (Chat Completions, not streaming) what to do, asks before each command, and keeps
its conversations in its home. Run as ``python3 small_agent.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import uuid
from typing import Any

TOOLS = [{"type": "function", "function": {"name": "run_command", "parameters": {"type": "object"}}}]
INTERRUPTED = "[skerry] interrupted: nothing is known of what came of it"
SERVERS: dict[str, str] = {}
OPTIONS = [
    {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def update(session: str, **values: Any) -> None:
    send(method="session/update", params={"sessionId": session, "update": values})


def file_of(session: str) -> str:
    folder = os.path.join(os.environ["HOME"], ".small-agent")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"{session}.json")


def kept(session: str) -> Any:
    with open(file_of(session), encoding="utf-8") as file:
        return json.load(file)


def keep(session: str, messages: Any) -> None:
    with open(file_of(session), "w", encoding="utf-8") as file:
        json.dump(messages, file)


def ask_model(messages: Any) -> Any:
    body = {"model": os.environ.get("OPENAI_MODEL", "model"), "messages": messages, "tools": TOOLS}
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["choices"][0]["message"]


def ask_server(method: str, params: Any) -> Any:
    """A request to the tools' server, over MCP (streamable HTTP, without a session)."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(SERVERS["skerry"], json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]


def learn_tools(servers: Any) -> None:
    SERVERS.update({server["name"]: server["url"] for server in servers})
    for tool in ask_server("tools/list", {})["tools"]:
        function = {"name": tool["name"], "parameters": tool["inputSchema"]}
        TOOLS.append({"type": "function", "function": function})


def use(session: str, call: Any) -> str:
    name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
    tool = {"toolCallId": call["id"], "title": name, "kind": "other", "rawInput": arguments}
    update(session, sessionUpdate="tool_call", status="in_progress", **tool)
    text = ask_server("tools/call", {"name": name, "arguments": arguments})["content"][0]["text"]
    content = [{"type": "content", "content": {"type": "text", "text": text}}]
    update(session, sessionUpdate="tool_call_update", toolCallId=call["id"], status="completed", content=content)
    return str(text)


def run(session: str, call: Any) -> str:
    command = json.loads(call["function"]["arguments"])["command"]
    tool = {"toolCallId": call["id"], "title": command, "kind": "execute", "rawInput": {"command": command}}
    update(session, sessionUpdate="tool_call", status="pending", **tool)
    number = f"ask-{call['id']}"
    send(
        id=number,
        method="session/request_permission",
        params={"sessionId": session, "toolCall": tool, "options": OPTIONS},
    )
    outcome = json.loads(sys.stdin.readline())["result"]["outcome"]
    if outcome.get("optionId") != "yes":
        update(session, sessionUpdate="tool_call_update", toolCallId=call["id"], status="failed")
        return "refused"
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True)
    text = done.stdout + done.stderr
    update(
        session,
        sessionUpdate="tool_call_update",
        toolCallId=call["id"],
        status="failed" if done.returncode else "completed",
        rawOutput={"exit_code": done.returncode},
        content=[{"type": "content", "content": {"type": "text", "text": text}}],
    )
    return f"Exit code: {done.returncode}\nOutput:\n{text}"


def prompt(session: str, text: str) -> Any:
    messages = [*kept(session)]
    for call in messages[-1].get("tool_calls") or [] if messages else []:  # it was ended in the middle of them
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": INTERRUPTED})
    messages.append({"role": "user", "content": text})
    while True:
        reply = ask_model(messages)
        messages.append(reply)
        keep(session, messages)
        if reply.get("content"):
            content = {"type": "text", "text": reply["content"]}
            update(session, sessionUpdate="agent_message_chunk", content=content)
        if not reply.get("tool_calls"):
            return {"stopReason": "end_turn"}
        for call in reply["tool_calls"]:
            do = run if call["function"]["name"] == "run_command" else use
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": do(session, call)})
        keep(session, messages)


def answer(method: str, params: Any) -> Any:
    if method == "initialize":
        return {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}
    if method in ("session/new", "session/load"):
        learn_tools(params["mcpServers"])
    if method == "session/new":
        session = str(uuid.uuid4())
        keep(session, [])
        return {"sessionId": session}
    if method == "session/load":
        for message in kept(params["sessionId"]):
            if message["role"] == "user":
                content = {"type": "text", "text": message["content"]}
                update(params["sessionId"], sessionUpdate="user_message_chunk", content=content)
        return {}
    return prompt(params["sessionId"], params["prompt"][0]["text"])


for line in iter(sys.stdin.readline, ""):
    asked = json.loads(line)
    if "id" in asked and "method" in asked:
        send(id=asked["id"], result=answer(asked["method"], asked["params"]))
