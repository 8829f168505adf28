"""Two real Codex agents in two real machines talk by Skerry's tools: ask, wait, look at a file, answer, confirm."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.config import Paths
from app.domain import events as ev
from app.store.attachments import AttachmentStore
from tests.e2e.team_on_disk import TeamOnDisk, cleared

pytestmark = [pytest.mark.vm, pytest.mark.codex, pytest.mark.slow, pytest.mark.timeout(600)]

PROJECT = Path(__file__).parent / "conversation"
RUN = ("run", "--headless", "--rehearse", str(PROJECT / "scenario.yaml"), "--until-idle")
TABLE = "".join(f"{number} {number * number}\n" for number in range(1, 501)).encode()
CHECKSUM = hashlib.sha256(TABLE).hexdigest()
RUN_SECONDS = 240
SENT = {"announce": "A table comes", "ask": "Please check the table", "settle": "Is this settled?"}


@pytest.fixture
def pair(tmp_path: Path, paths: Paths) -> Iterator[TeamOnDisk]:
    with cleared(TeamOnDisk(tmp_path, paths, PROJECT)) as team:
        yield team


def test_two_agents_ask_answer_and_confirm(pair: TeamOnDisk) -> None:
    began = time.monotonic()
    done = pair.skerry(*RUN)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr + pair.story()
    status = pair.json("status")
    assert [agent["state"] for agent in status["agents"]] == ["completed"] * 2, pair.story()

    sent = {item["subject"]: item for item in pair.json("messages")["messages"]}
    assert len(sent) == 5 and {item["state"] for item in sent.values()} == {"read", "answered"}
    check_threads(sent)
    check_table(pair, sent[SENT["ask"]])
    check_results(pair, sent)
    check_turns(pair, sent)
    print(f"conversation: {took:.1f} s")
    assert took < RUN_SECONDS
    assert not pair.machines_left(), "machines outlive their agents"


def check_threads(sent: dict[str, Any]) -> None:
    """Each question and its answer are a thread of their own, and say what became of them."""
    announced, asked, settled = (sent[SENT[step]] for step in SENT)
    answer, decision = (sent[f"Re: {SENT[step]}"] for step in ("ask", "settle"))
    assert (announced["state"], asked["state"], settled["state"]) == ("read", "answered", "answered")
    assert (answer["state"], decision["state"]) == ("read", "read")
    assert (answer["reply_to"], decision["reply_to"]) == (asked["id"], settled["id"])
    assert answer["body"] == f"sha256 {CHECKSUM}, last 500 250000"
    assert decision["data"] == {"decision": "accept"}
    assert {item["correlation_id"] for item in (asked, answer)} == {asked["id"]}
    assert {item["correlation_id"] for item in (settled, decision)} == {settled["id"]}


def check_table(pair: TeamOnDisk, asked: dict[str, Any]) -> None:
    """The file that a command made in one machine is what was kept, and what a command saw in the other."""
    assert asked["attachments"] == [{"name": "squares.txt", "size": len(TABLE), "sha256": CHECKSUM}]
    (envelope,) = [item for item in envelopes(pair) if item.id == asked["id"]]
    assert AttachmentStore(pair.paths.attachments).read(envelope.attachments[0]) == TABLE
    (looked,) = outputs(pair, "bob", f"/workspace/.inbox/{asked['id']}")
    assert TABLE.decode() in looked and f"sum {CHECKSUM}" in looked
    assert (pair.folder / "agents/alice/sandbox/squares.txt").read_bytes() == TABLE
    assert not (pair.folder / "agents/bob/sandbox/.inbox").exists(), "what was sent along is no work of bob's"


def check_results(pair: TeamOnDisk, sent: dict[str, Any]) -> None:
    """What alice waited for came as the result of the very call, and what bob read as that of read_inbox."""
    results = [*outputs(pair, "alice", "send_message")]
    assert len(results) == 3
    assert f"bob has read {sent[SENT['announce']]['id']}" in results[0]
    assert f"Message {sent['Re: ' + SENT['ask']]['id']} from bob" in results[1] and CHECKSUM in results[1]
    assert f"Decision on {sent[SENT['settle']]['id']}: accept" in results[2]
    (inbox,) = outputs(pair, "bob", "read_inbox")
    assert f"Message {sent[SENT['ask']]['id']} from alice" in inbox
    assert f"/workspace/.inbox/{sent[SENT['ask']]['id']}/squares.txt ({len(TABLE)} bytes)" in inbox


def check_turns(pair: TeamOnDisk, sent: dict[str, Any]) -> None:
    """Waiting costs no turn: alice has one; bob one at the start, and one each time he is woken."""
    begun = {name: [turn for turn in turns(pair) if turn.agent == name] for name in ("alice", "bob")}
    assert [turn.cause for turn in begun["alice"]] == ["start"]
    assert [turn.cause for turn in begun["bob"]] == ["start", "messages", "messages"]
    assert [turn.messages for turn in begun["bob"][1:]] == [
        (sent[SENT["announce"]]["id"],),
        (sent[SENT["settle"]]["id"],),
    ]


def envelopes(pair: TeamOnDisk) -> list[Any]:
    return [event.envelope for event in pair.facts() if isinstance(event, ev.MessageAccepted)]


def turns(pair: TeamOnDisk) -> list[ev.TurnStarted]:
    return [event for event in pair.facts() if isinstance(event, ev.TurnStarted)]


def outputs(pair: TeamOnDisk, agent: str, what: str) -> list[str]:
    """What the agent's program says came of its calls with ``what`` in the title or the command, in order."""
    facts = [event for event in pair.facts() if event.agent == agent]
    calls = {
        event.call_id for event in facts if isinstance(event, ev.ToolStarted) and what in event.title + event.command
    }
    return [event.output for event in facts if isinstance(event, ev.ToolEnded) and event.call_id in calls]
