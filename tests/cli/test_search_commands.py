"""``skerry search``, ``memory search`` and ``memory reindex``: on a real journal, and with a team at work."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.config import Paths
from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.store.journal import Journal
from tests.cli.conftest import AtWork, Skerry
from tests.team import Turn
from tests.ui.story import Story

AGENT = "dev-agent"


@pytest.fixture
def run(story: Story, skerry: Skerry) -> Story:
    """Two runs, in each of which the walrus is mentioned in every way."""
    for number in (1, 2):
        if number == 2:
            story.run = "run-2"
        story.tell(ev.RunStarted, project="feature-x", root=str(Path.cwd()), agents=[{"id": AGENT, "type": "codex"}])
        story.turn(AGENT, 1, "Begin.", "start")
        story.say(AGENT, 1, f"I shall feed the walrus of run {number}.")
        story.turn(AGENT, 2, "Go on.")
        story.command(AGENT, 2, f"feed --walrus {number}", "it eats\n")
        story.send(AGENT, "test-agent", f"Walrus {number}", "Please look after it.", MessageState.DELIVERED)
        story.ask(AGENT, f"May the walrus sleep in run {number}?", "It is tired.", ("yes", "no"), "yes")
    file = Path.cwd() / "agents" / AGENT / "memory.md"
    file.parent.mkdir(parents=True)
    file.write_text("# Animals\n\nThe walrus\x1b[2J is hungry.\n")
    return story


def search(skerry: Skerry, *arguments: str) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = json.loads(skerry("search", "--json", *arguments).stdout)["hits"]
    return hits


def test_everything_is_found_with_a_way_there(run: Story, skerry: Skerry) -> None:
    hits = search(skerry, "walrus")
    assert sorted(hit["kind"] for hit in hits) == sorted(
        ["memory", *2 * ("message", "transcript", "transcript", "interrupt")]
    )
    for hit in hits:
        assert [part["text"].lower() for part in hit["snippet"] if part["found"]] in (["walrus"], []), hit
        if hit["kind"] == "memory":
            assert hit["target"] == f"{Path.cwd()}/agents/{AGENT}/memory.md:3"
            continue
        program, *arguments = shlex.split(hit["target"])
        assert program == "skerry"
        there = skerry(*arguments)
        assert there.returncode == 0, there.stderr
        number = hit["run"][-1]
        assert f"{'walrus' if hit['kind'] != 'message' else 'Walrus'}" in there.stdout
        other = {"1": "2", "2": "1"}[number]
        assert f"run {other}" not in there.stdout and f"walrus {other}" not in there.stdout.lower()


def test_a_turn_is_shown_alone(run: Story, skerry: Skerry) -> None:
    first, second = (skerry("console", AGENT, "--run", "run-1", "--turn", turn).stdout for turn in ("1", "2"))
    assert "feed the walrus of run 1" in first and "feed --walrus" not in first
    assert "feed --walrus 1" in second and "feed the walrus" not in second
    assert skerry("console", AGENT, "--turn", "9").complained(1, "has had 2 turns")
    assert skerry("console", AGENT, "--run", "run-9").complained(1, "no run 'run-9'", "skerry search")


def test_what_is_printed_says_who_where_and_cannot_steer_the_terminal(
    run: Story, skerry: Skerry, terminal: Callable[[int], None]
) -> None:
    terminal(100)
    shown = skerry("search", "hungry").stdout
    assert "\x1b" not in shown
    assert shown.splitlines() == [
        shown.splitlines()[0],
        "  The walrus is hungry.",
        f"  {Path.cwd()}/agents/{AGENT}/memory.md:3",
    ]
    assert shown.splitlines()[0].startswith(f"memory {AGENT} ")
    assert shown.splitlines()[0].endswith("  Animals")


def test_filters(run: Story, skerry: Skerry) -> None:
    def kinds(*arguments: str) -> list[str]:
        return sorted(hit["kind"] for hit in search(skerry, "walrus", *arguments))

    assert kinds("--kind", "memory") == ["memory"]
    assert kinds("-k", "messages", "-k", "interrupts") == ["interrupt"] * 2 + ["message"] * 2
    assert kinds("--agent", "test-agent") == ["message", "message"]
    assert kinds("--since", "2h") == kinds()
    assert kinds("--until", "2h") == []
    assert len(kinds("--limit", "3")) == 3
    assert kinds("-p", ".") == kinds()
    assert search(skerry, "ungr") == search(skerry, "ungr", "--substring") != []
    assert [hit["kind"] for hit in search(skerry, "the walrus is hungry")] == ["memory"]
    assert search(skerry, "hungry", "is", "walrus", "the") != []
    assert search(skerry, '"hungry is"') == []
    without = search(skerry, "--", "walrus", "-hungry")
    assert len(without) == len(kinds()) - 1
    assert "memory" not in [hit["kind"] for hit in without]


def test_mistakes_are_told(run: Story, skerry: Skerry) -> None:
    assert skerry("search", "walrus", "--agent", "nobody").complained(1, "no agent 'nobody'", AGENT)
    assert skerry("search", "walrus", "--kind", "dream").complained(2, "no kind 'dream'", "memory, message")
    assert skerry("search", "walrus", "--since", "yore").complained(2, "--since 'yore'", "2026-01-31")
    assert skerry("search", "--", "-walrus").complained(1, "names nothing to look for")
    assert "nothing is found" in skerry("search", "narwhal").stderr
    assert skerry("search", 'AND OR NEAR( * ^ "', "--kind", "memory").returncode in (0, 1)


def test_the_memories_alone(run: Story, skerry: Skerry) -> None:
    told = json.loads(skerry("memory", "search", "walrus", "--json").stdout)["hits"]
    assert [(hit["kind"], hit["agent"], hit["line"]) for hit in told] == [("memory", AGENT, 3)]
    assert json.loads(skerry("memory", "search", "walrus", "--agent", "test-agent", "--json").stdout)["hits"] == []


def test_an_index_that_is_lost_or_made_anew_finds_the_same(run: Story, skerry: Skerry, paths: Paths) -> None:
    def found() -> list[str]:
        return sorted(hit["target"] for hit in search(skerry, "walrus"))

    before = found()
    paths.search_db.write_bytes(b"no database" * 1000)
    assert found() == before
    paths.search_db.unlink()
    assert found() == before
    told = json.loads(skerry("memory", "reindex", "--json").stdout)
    assert told["pieces"] >= len(before)
    assert f"is new: {told['pieces']} pieces" in skerry("memory", "reindex").stdout
    assert found() == before


def test_without_anything_to_search(skerry: Skerry, paths: Paths, tmp_path: Path) -> None:
    done = skerry("search", "walrus", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing is found" in done.stderr


def test_the_journal_of_another_project_is_searched_too_unless_one_is_named(
    run: Story, skerry: Skerry, paths: Paths, tmp_path: Path
) -> None:
    other = Story(Journal(paths.journal_db), "other-fleet", "run-of-another")
    other.start()
    other.say(AGENT, 1, "A walrus of another project.")
    other.journal.close()
    assert {hit["fleet"] for hit in search(skerry, "walrus")} == {run.fleet, "other-fleet"}
    assert {hit["fleet"] for hit in search(skerry, "walrus", "-p", ".")} == {run.fleet}


async def test_what_a_team_at_work_says_and_notes_is_found_at_once(at_work: AtWork) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            await turn.call("memory_append", heading="Plan", text="feed the walrus")
            await turn.call("send_message", recipient="bob", body="the walrus is fed", subject="walrus")

    async with at_work(script) as desk:
        await desk.team.start()
        await desk.team.until(lambda board: bool(board.messages))
        hits = json.loads((await desk.type("search", "walrus", "--json")).stdout)["hits"]
        assert {hit["kind"] for hit in hits} == {"memory", "message"}
        await desk.team.until(lambda board: all(view.state is AgentStatus.IDLE for view in board.agents.values()))
