"""Agents that are a script: they send what the plan says, answer what they are asked, and read what comes in."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

from app.activities.member import member_key
from app.chaos.diary import Diary, Entry
from app.chaos.plan import Plan, Planned
from app.config import Paths
from app.domain.ports import Said, TurnObserver, TurnOutcome, TurnRequest

_HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
_HEAD = re.compile(r"^Message (m-[0-9a-f]+) from (\S+).*$", re.M)
_WANTS = re.compile(r"^(c-\S+) wants (\w+)$", re.M)
_ON = re.compile(r"On (c-\S+)\.")
_ID = re.compile(r"\bm-[0-9a-f]+\b")
_LOOK_EVERY = 4
_RESENT = 3
_TOOL_SECONDS = 90.0
_AGAIN_SECONDS = 0.3
_TIMEOUT_SECONDS = 900
_FINAL = ("Refused: would_deadlock", "Refused: you may not write to", "Refused: refused by", "Expired:", "Timed out:")


class Agents:
    """Plays the turns of all agents of a run; what an earlier try of a turn did stands in the diaries."""

    def __init__(self, plan: Plan, paths: Paths, fleet: str, diaries: Path) -> None:
        self._plan, self._paths, self._fleet, self._diaries = plan, paths, fleet, diaries

    async def play(self, agent: str, turn: TurnRequest, observer: TurnObserver) -> TurnOutcome:
        """One turn of one agent."""
        door = self._paths.door(member_key(self._fleet, agent))
        await observer.said(Said(f"Turn {turn.turn}."))  # a sign of life: the prompt is before the model
        transport = httpx.AsyncHTTPTransport(uds=str(door))
        async with httpx.AsyncClient(transport=transport, timeout=_TOOL_SECONDS) as client:
            player = _Player(self._plan.share(agent), Diary(self._diaries / agent), client, turn)
            await player.play()
        return TurnOutcome(session=turn.session or f"s-{agent}", stop_reason="end_turn")


class _Player:
    def __init__(self, share: tuple[Planned, ...], diary: Diary, client: httpx.AsyncClient, turn: TurnRequest) -> None:
        self._share, self._diary, self._client, self._turn = share, diary, client, turn
        self._handled: set[str] = set()
        self._answered: set[str] = set()
        self._seen = {entry.id for entry in diary.entries() if entry.what == "seen"}
        """Before this turn."""

    async def play(self) -> None:
        if self._turn.resume:
            await self._remember()
        await self._handle(self._turn.prompt)
        await self._look()
        told = {entry.key for entry in self._diary.entries() if entry.what == "told"}
        done = [planned for planned in self._share if planned.key in told]
        again = done[-_RESENT:] if self._turn.resume else []
        open_ones = [planned for planned in self._share if planned.key not in told]
        for number, planned in enumerate([*again, *open_ones], start=1):
            await self._send(planned, again=planned.key in told)
            if planned.pause and planned.key not in told and planned.key not in self._answered:
                break  # the answer wakes it
            if number % _LOOK_EVERY == 0:
                await self._look()
        else:
            await self._look()
        self._diary.add(Entry("turn", self._turn.turn))

    async def _remember(self) -> None:
        """What came before the agent in this turn before it was cut stands in its conversation: it answers that now."""
        seen = [entry for entry in self._diary.entries() if entry.what == "seen" and entry.turn == self._turn.turn]
        for entry in sorted(seen, key=lambda entry: not entry.words.endswith("decision")):
            await self._answer(entry.id, *entry.words.split())

    async def _send(self, planned: Planned, *, again: bool) -> None:
        wants = {"asked": "answer", "reply": "answer", "confirm": "decision"}.get(planned.how, "nothing")
        arguments: dict[str, Any] = {
            "recipient": planned.recipient,
            "subject": f"About {planned.key}",
            "body": f"{planned.key} wants {wants}",
            "idempotency_key": planned.key,
        }
        if planned.how in ("ack", "reply", "confirm"):
            arguments |= {"mode": "sync", "timeout_seconds": _TIMEOUT_SECONDS}
            arguments |= {"kind": "confirm"} if planned.how == "confirm" else {}
            arguments |= {"wait_for": "ack"} if planned.how == "ack" else {}
        arguments |= {"expires_after_seconds": planned.expires} if planned.expires else {}
        ok, text = await self._insist("send_message", **arguments)
        if not ok and text.startswith("Refused: would_deadlock"):
            self._diary.add(Entry("told", self._turn.turn, f"{planned.key}/circle", words=text))
            unhurried = {name: arguments[name] for name in arguments if name not in ("timeout_seconds", "wait_for")}
            unhurried |= {"mode": "async", "idempotency_key": f"{planned.key}-a"}
            ok, text = await self._insist("send_message", **unhurried)
        ok, text = await self._pending(ok, text)
        found = _ID.search(text) if text.startswith(("Accepted as", "Held as")) else None
        await self._handle(text, again=again)
        self._diary.add(Entry("told", self._turn.turn, planned.key, found[0] if found else "", text[:200]))

    async def _pending(self, ok: bool, text: str) -> tuple[bool, str]:
        while text.startswith("pending:") and (found := _ID.search(text)):
            ok, text = await self._insist("await_reply", message_id=found[0], timeout_seconds=_TIMEOUT_SECONDS)
        return ok, text

    async def _look(self) -> None:
        await self._handle((await self._insist("read_inbox"))[1])

    async def _handle(self, text: str, *, again: bool = False) -> None:
        """Note every message in ``text``, then do what it asks for.

        ``again``: it is the answer of a call that was made before; what had come by it then comes by right again.
        """
        heads = list(_HEAD.finditer(text))
        ends = [*(head.start() for head in heads[1:]), len(text)][: len(heads)]
        asked: list[tuple[str, str, str]] = []
        for head, end in zip(heads, ends, strict=True):
            if head[1] in self._handled:
                continue
            self._handled.add(head[1])
            wants = _WANTS.search(text[head.end() : end])
            if not (again and head[1] in self._seen):
                words = f"{wants[1]} {wants[2]}" if wants is not None else ""
                self._diary.add(Entry("seen", self._turn.turn, id=head[1], words=words))
            self._answered |= set(_ON.findall(text[head.end() : end]))
            if wants is not None:
                asked.append((head[1], wants[1], wants[2]))
        # Little else is allowed before all decisions are made.
        for message_id, key, wanted in sorted(asked, key=lambda item: item[2] != "decision"):
            await self._answer(message_id, key, wanted)

    async def _answer(self, message_id: str, key: str = "", wants: str = "") -> None:
        if wants == "answer":
            await self._insist("reply", message_id=message_id, body=f"On {key}.", idempotency_key=f"r-{message_id}")
        elif wants == "decision":
            decision = "decline" if key.endswith("7") else "accept"
            await self._insist("confirm", message_id=message_id, decision=decision, reason=f"On {key}.")

    async def _insist(self, tool: str, **arguments: Any) -> tuple[bool, str]:
        """Call a tool until it says yes, or no for good."""
        while True:
            try:
                ok, text = await self._call(tool, arguments)
            except (httpx.HTTPError, OSError) as error:
                ok, text = False, str(error)
            if ok or text.startswith(_FINAL):
                return ok, text
            if "first accept or decline" in text:
                await self._look()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _call(self, tool: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        answer = await self._client.post("http://127.0.0.1:8080/mcp", json=request, headers=_HEADERS)
        answer.raise_for_status()
        result = answer.json()["result"]
        return not result.get("isError"), "".join(part.get("text", "") for part in result["content"])
