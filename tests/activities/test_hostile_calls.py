"""Whatever an agent's program says in a tool call, it is done or refused with a reason; what got through is clean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.client import Client

from app.activities.member import member_key
from app.config import Paths
from app.domain import events as ev
from app.domain.actions import ACTIONS, Action
from app.domain.envelope import check_envelope
from app.domain.errors import ActionRefused
from app.domain.interrupt import Interrupt
from app.domain.ports import ActionResult
from app.domain.text import check_text, printable
from tests.team import Team, Turn

ANY_TEXT = st.text(st.characters(), max_size=30)  # with half characters, control characters, all of them
PLAUSIBLE = st.sampled_from(
    ["bob", "user", "alice", "m-1", "accept", "decline", "confirm", "sync", "ack", "Notes", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | ANY_TEXT | PLAUSIBLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A tool and arguments, many of them nearly right."""
    action: type[Action] = draw(st.sampled_from(ACTIONS))
    fields = list(action.model_fields)
    chosen = draw(st.lists(st.sampled_from(fields), unique=True)) if fields else []
    required = [name for name, field in action.model_fields.items() if field.is_required()]
    names = {*chosen, *(required if draw(st.booleans()) else ())}
    arguments = {name: draw(PLAUSIBLE | ANY_TEXT | JSON) for name in sorted(names)}
    if draw(st.integers(0, 5)) == 0:
        arguments |= draw(st.dictionaries(ANY_TEXT, JSON, max_size=2))
    if action.name == "read_inbox" and type(arguments.get("wait_seconds")) in (int, float, str):
        arguments["wait_seconds"] = 0  # else it waits as long as it is told
    return action.name, arguments


class Attacker:
    """Calls tools as alice, who is in the middle of a turn; bob is in his, too."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self._loop = asyncio.get_running_loop()

    async def call(self, name: str, arguments: dict[str, Any]) -> ActionResult | ActionRefused:
        try:
            return await self.team.calls.handle(member_key(self.team.fleet, "alice"), name, arguments, "c")
        except ActionRefused as refusal:
            return refusal

    def from_thread(self, name: str, arguments: dict[str, Any]) -> ActionResult | ActionRefused:
        return asyncio.run_coroutine_threadsafe(self.call(name, arguments), self._loop).result(30)


async def attack(team: Team) -> Attacker:
    await team.start()
    await team.until(lambda board: all(view.turn == 1 for view in board.agents.values()))
    return Attacker(team)


async def stay(turn: Turn) -> None:
    await asyncio.Event().wait()


def texts_of(team: Team) -> Iterable[str]:
    """Every text of an agent that others, or the user, get to see."""
    for note in team.facts(ev.MemoryWritten):
        yield from (note.heading, note.text)
    for raised in team.facts(ev.InterruptRaised):
        asked: Interrupt = raised.interrupt
        yield from (asked.title, asked.body, asked.default, *asked.options)
    for finished in team.facts(ev.AgentFinished):
        yield finished.summary


@pytest.mark.timeout(180)
async def test_any_arguments_get_a_result_or_a_refusal(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, stay, replay=False, block_seconds=0.05) as team:
        attacker = await attack(team)

        @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(calls())
        def holds(call: tuple[str, dict[str, Any]]) -> None:
            told = attacker.from_thread(*call)
            assert told.text if isinstance(told, ActionResult) else told.message

        await asyncio.to_thread(holds)
        for accepted in team.facts(ev.MessageAccepted):
            assert accepted.envelope.sender == "alice"
            check_envelope(accepted.envelope)
        for text in texts_of(team):
            check_text(text, what="what got through", max_bytes=1_000_000)
        refusals = [text for fact in team.facts(ev.ToolRefused) for text in (fact.tool, fact.reason)]
        assert refusals
        assert refusals == [printable(text) for text in refusals]


DEEP: dict[str, Any] = {}
for _ in range(2000):
    DEEP = {"a": DEEP}

SEND = {"recipient": "bob", "body": "x"}
HOSTILE: dict[str, tuple[str, dict[str, Any], str]] = {
    "spoofed sender": ("send_message", {**SEND, "sender": "user"}, "sender"),
    "spoofed id": ("send_message", {**SEND, "id": "m-1"}, "id"),
    "spoofed hops": ("send_message", {**SEND, "hops": []}, "hops"),
    "spoofed time": ("send_message", {**SEND, "sent_at": "2026-01-01T00:00:00Z"}, "sent_at"),
    "spoofed answer": ("send_message", {**SEND, "reply_to": "m-1"}, "reply_to"),
    "unknown message": ("reply", {"message_id": "m-000000000000", "body": "x"}, "you have received no message"),
    "no message at all": ("reply", {"message_id": "run/x", "body": "x"}, "you have received no message"),
    "unknown wait": ("await_reply", {"message_id": "m-000000000000"}, "m-000000000000"),
    "unknown confirmation": ("confirm", {"message_id": "m-0", "decision": "accept"}, "you have received no message"),
    "long subject": ("send_message", {**SEND, "subject": "s" * 401}, "401 bytes, 400 are allowed"),
    "two lines": ("send_message", {**SEND, "subject": "a\nb"}, "more than one line"),
    "deep nesting": ("send_message", {**SEND, "subject": DEEP}, "subject"),
    "a huge number": ("send_message", {**SEND, "mode": "sync", "timeout_seconds": 10**400}, "timeout_seconds"),
    "not a number": ("read_inbox", {"wait_seconds": float("nan")}, "wait_seconds"),
    "half a character": ("send_message", {**SEND, "body": "\ud800"}, "body"),
    "an escape": ("finish", {"summary": "\x1b[2J"}, "U+001B"),
}


async def test_what_is_forged_or_malformed_is_refused_and_on_record(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, stay, replay=False) as team:
        attacker = await attack(team)
        for what, (tool, arguments, reason) in HOSTILE.items():
            told = await attacker.call(tool, arguments)
            assert isinstance(told, ActionRefused), what
            assert reason in told.message, what
        facts = team.facts(ev.ToolRefused)
        assert [fact.tool for fact in facts] == [tool for tool, _, _ in HOSTILE.values()]
        assert all(fact.agent == "alice" and fact.reason for fact in facts)
        assert team.facts(ev.MessageAccepted) == []


async def test_a_message_to_another_cannot_be_answered(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, stay, replay=False) as team:
        attacker = await attack(team)
        foreign = await team.control.send(team.fleet, "bob", "For bob only.")
        for tool, more in (("reply", {"body": "x"}), ("confirm", {"decision": "accept"}), ("await_reply", {})):
            told = await attacker.call(tool, {"message_id": foreign, **more})
            assert isinstance(told, ActionRefused), tool
        assert [fact.tool for fact in team.facts(ev.ToolRefused)] == ["reply", "confirm", "await_reply"]


async def test_what_is_no_call_is_on_record(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, stay) as team:
        await attack(team)
        door = str(paths.door(member_key(team.fleet, "alice")))
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=door)) as http:
            answer = await http.post("http://127.0.0.1:8080/mcp", content=b'{"id":1,"id":2}')
        assert answer.status_code == 400
        (fact,) = team.facts(ev.ToolRefused)
        assert (fact.agent, fact.tool, fact.reason) == ("alice", "tools", "the key 'id' comes twice in one object")
