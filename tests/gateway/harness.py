"""A coding harness as small as can be: it does for the scripted model what Codex does, with real commands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from app.domain.actions import ACTIONS, AskUser, Finish, MemoryAppend, Reply, RequestDebug, SendMessage, parse_action
from app.domain.ports import ActionResult

Json = dict[str, Any]
Ask = Callable[[Json], Awaitable[Json]]

NAMESPACE = "mcp__skerry"
TOOLS: list[Json] = [
    {"type": "function", "name": "exec_command", "parameters": {}},
    {"type": "function", "name": "write_stdin", "parameters": {}},
    {"type": "namespace", "name": NAMESPACE, "tools": [{"type": "function", "name": a.name} for a in ACTIONS]},
]


def user(text: str) -> Json:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def request(*items: Json, tools: list[Json] | None = None, **more: Any) -> Json:
    return {
        "model": "rehearsal",
        "stream": False,
        "input": list(items),
        "tools": TOOLS if tools is None else tools,
        **more,
    }


def output(call: Json, text: str) -> Json:
    return {"type": "function_call_output", "call_id": call["call_id"], "output": text}


def ran(text: str, status: int) -> str:
    head = f"Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code {status}\nOriginal token count: 3"
    return f"{head}\nOutput:\n{text}"


class Crash(Exception):
    """The harness is killed here."""


@dataclass
class Office:
    """What the host does with tool calls: messages by id, one memory each, one user who takes the default."""

    answer: str = ""
    inbox: dict[str, list[str]] = field(default_factory=dict)
    messages: dict[str, Json] = field(default_factory=dict)
    memory: dict[str, list[str]] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    finished: dict[str, str] = field(default_factory=dict)
    debug: list[str] = field(default_factory=list)

    async def handle(self, key: str, name: str, arguments: Mapping[str, object], call_id: str) -> ActionResult:
        match parse_action(name, arguments):
            case MemoryAppend(text=text):
                self.memory.setdefault(key, []).append(text)
            case SendMessage(recipient=recipient, subject=subject, body=body, idempotency_key=mark):
                return self._post(key, recipient, subject, body, mark)
            case Reply(message_id=message_id, body=body, idempotency_key=mark):
                first = self.messages[message_id]
                assert first["recipient"] == key
                return self._post(key, first["sender"], f"Re: {first['subject']}", body, mark)
            case AskUser(question=question, default=default):
                if question not in self.questions:
                    self.questions[question] = self.answer or default
                    self._deliver(key, f"Answer to i-{len(self.questions):012x}: {self.questions[question]}")
            case Finish(summary=summary):
                self.finished[key] = summary
            case RequestDebug(problem=problem):
                self.debug.append(problem)
        return ActionResult(f"{name}: done")

    def _post(self, sender: str, recipient: str, subject: str, body: str, mark: str) -> ActionResult:
        for known in self.messages.values():
            if mark and known["mark"] == mark and known["sender"] == sender:
                return ActionResult("sent already")
        found = f"m-{len(self.messages) + 1:012x}"
        self.messages[found] = {
            "sender": sender,
            "recipient": recipient,
            "subject": subject,
            "body": body,
            "mark": mark,
        }
        self._deliver(recipient, f"Message {found} from {sender} — {subject}\n\n{body}\n")
        return ActionResult(f"accepted {found}")

    def _deliver(self, recipient: str, text: str) -> None:
        self.inbox.setdefault(recipient, []).append(text)


@dataclass
class Harness:
    """One agent: its conversation and its workspace. ``crash_at`` counts actions; there the program is killed."""

    agent: str
    office: Office
    workspace: Path
    ask: Ask
    call_tool: Callable[[str, Json], Awaitable[str]]
    crash_at: int = -1
    act_first: bool = True
    items: list[Json] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    requests: int = 0
    actions: int = 0

    async def turn(self, prompt: str) -> None:
        """One prompt to its end, resumed when the program was killed in it."""
        self.items.append(user(prompt))
        while True:
            try:
                return await self._until_end()
            except Crash:
                self.items.append(user("[skerry] resumed: go on where you were."))

    async def _until_end(self) -> None:
        while True:
            self.requests += 1
            assert self.requests < 60, "the model does not come to an end"
            answer = await self.ask(request(*self.items))
            made = answer["output"]
            self.items += made
            calls = [item for item in made if item["type"] == "function_call"]
            if not calls:
                return
            results = [await self._do(call) for call in calls]
            self.items += [output(call, text) for call, text in zip(calls, results, strict=True)]
            if "aborted" in results:
                raise Crash

    async def _do(self, call: Json) -> str:
        self.actions += 1
        crash = self.actions == self.crash_at
        if crash and not self.act_first:
            return "aborted"
        arguments = json.loads(call["arguments"])
        if call["name"] == "exec_command":
            assert "namespace" not in call
            text = self._run(arguments["cmd"])
        else:
            assert call["namespace"] == NAMESPACE
            text = await self.call_tool(call["name"], arguments)
        return "aborted" if crash else text

    def _run(self, command: str) -> str:
        self.commands.append(command)
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.workspace, capture_output=True, text=True, timeout=60, check=False
        )
        return ran(done.stdout + done.stderr, done.returncode)


async def play(team: Mapping[str, Harness], office: Office) -> None:
    """Give every agent its first prompt, then let the story go on by itself."""
    for harness in team.values():
        await harness.turn("You are in a team. Begin with your work.")
    await deliver_all(team, office)


class Agent(Protocol):
    """Who takes turns."""

    async def turn(self, prompt: str) -> None: ...


async def deliver_all(team: Mapping[str, Agent], office: Office) -> None:
    """Wake whoever has something in the inbox, until nobody has."""
    for _ in range(30):
        woken = [agent for agent in team if office.inbox.get(agent)]
        if not woken:
            return
        for agent in woken:
            await team[agent].turn("New for you:\n\n" + "\n".join(office.inbox.pop(agent)))
    raise AssertionError("the story does not come to an end")
