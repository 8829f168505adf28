"""The memory tools through the real doors: each agent has its own file and no other; disputes come to the user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp.client import Client as McpClient
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent
from temporalio.client import Client

from app.activities.member import member_key
from app.activities.note_book import KEEP_BOTH, KEEP_THE_USERS
from app.config import Paths
from app.control import open_memory
from app.domain.digest import CHARACTERS_PER_TOKEN, DIGEST_TOKENS
from app.domain.events import AgentStatus, MemoryWritten
from app.domain.interrupt import Answer
from tests.team import Team, Turn


async def quiet(turn: Turn) -> None:
    """Nothing is done of itself."""


async def rested(team: Team) -> None:
    await team.start()
    await team.until(lambda board: all(view.state is AgentStatus.IDLE for view in board.agents.values()))


@asynccontextmanager
async def door_of(team: Team, agent: str) -> AsyncIterator[McpClient]:
    """The tools as the agent's program in its machine reaches them."""
    socket = team.paths.door(member_key(team.fleet, agent))
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    async with httpx2.AsyncClient(transport=transport) as http:
        server = streamable_http_client("http://127.0.0.1:8080/mcp", http_client=http)
        async with McpClient(server, mode="legacy") as client:
            yield client


def told(result: CallToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


async def prompt_of(team: Team, number: int) -> str:
    """What alice is told in that turn, once she is."""

    def found() -> list[str]:
        return [turn.prompt for turn in team.turns if (turn.agent, turn.number) == ("alice", number)]

    await team.until(lambda board: bool(found()))
    return found()[-1]


def memory_path(team: Team, agent: str) -> Path:
    return team.project.memory_file(team.project.fleet.agent(agent))


async def test_an_agent_reaches_its_own_memory_only(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, quiet, replay=False) as team:
        await rested(team)
        async with door_of(team, "bob") as bob:
            await bob.call_tool("memory_append", {"text": "the secret of bob", "heading": "Notes"})
        before = memory_path(team, "bob").read_bytes()
        files = sorted(str(path) for path in team.project.root.rglob("*"))
        tricks: list[tuple[str, dict[str, Any]]] = [
            ("memory_read", {"agent": "bob"}),
            ("memory_read", {"path": "../bob/memory.md"}),
            ("memory_append", {"text": "x", "agent": "bob"}),
            ("memory_replace", {"heading": "Notes", "text": "", "memory_file": "agents/bob/memory.md"}),
            *(("memory_read", {"heading": heading}) for heading in HEADINGS),
            *(("memory_append", {"text": "x", "heading": heading}) for heading in HEADINGS),
            *(("memory_replace", {"text": "y", "heading": heading}) for heading in HEADINGS),
            ("memory_search", {"query": "secret", "agent": "bob"}),
            *(("memory_search", {"query": query}) for query in QUERIES),
        ]
        async with door_of(team, "alice") as alice:
            for name, arguments in tricks:
                answer = told(await alice.call_tool(name, arguments))
                assert "secret of bob" not in answer, (name, arguments)
                assert str(team.project.root) not in answer, (name, arguments)
            whole = told(await alice.call_tool("memory_read", {}))
        assert "secret of bob" not in whole
        assert memory_path(team, "bob").read_bytes() == before
        assert sorted(str(path) for path in team.project.root.rglob("*")) == files
        with open_memory(paths, team.project, "bob") as memory:
            assert [item.change.author for item in memory.history()] == ["user", "agent"]


HEADINGS = (
    "bob",
    "../bob/memory.md",
    "/etc/passwd",
    "agents/bob/memory.md#Notes",
    "Notes' OR agent='bob",
    '"; DROP TABLE memory_revisions; --',
    "%",
    "# # #",
    "a\nb",
    "\x00",
    "<!-- -->",
    "```",
)


QUERIES = (
    *HEADINGS,
    "secret",
    '"the secret of bob"',
    "secr*",
    "ecret",
    "secret -nothing",
    "heading:secret",
    "{heading body scope}:secret",
    "body : secret OR scope : a*",
    "secret) OR (rank MATCH 'bm25(1)'",
    "NEAR(secret bob, 10)",
    "^secret AND NOT nothing",
    '" OR docs MATCH "secret',
    "' UNION SELECT body FROM docs --",
    "secret'; DELETE FROM docs; --",
    "*",
    '"',
    "-",
    "kindmemory secret",
    "x" * 2_000,
    " ".join(["secret"] * 40),
)


async def test_a_search_finds_what_stands_in_the_own_memory(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, quiet, replay=False) as team:
        await rested(team)
        for agent, words in (
            ("bob", "Bob's walruses sleep."),
            ("alice", "The walruses are hungry; see feed_animals()."),
        ):
            async with door_of(team, agent) as door:
                await door.call_tool("memory_append", {"text": words, "heading": "Animals"})
        async with door_of(team, "alice") as alice:
            for query in ("walrus", "hung*", '"walruses are hungry"', "feed_animals", "d_anim"):
                answer = told(await alice.call_tool("memory_search", {"query": query}))
                assert "The walruses are hungry" in answer, query
                assert "Animals" in answer and "line 5" in answer, answer
                assert "Bob" not in answer
            nothing = told(await alice.call_tool("memory_search", {"query": "sleep"}))
            assert nothing.startswith("Nothing found")
            path = memory_path(team, "alice")
            path.write_text(path.read_text().replace("hungry", "thirsty"))
            edited = told(await alice.call_tool("memory_search", {"query": "thirsty"}))
            assert "The walruses are thirsty" in edited
            (paths.search_db).write_bytes(b"no database" * 1_000)
            assert told(await alice.call_tool("memory_search", {"query": "thirsty"})) == edited


async def test_what_an_agent_notes_is_on_record_with_turn_and_reason(paths: Paths, temporal: Client) -> None:
    async def script(turn: Turn) -> None:
        if turn.agent == "alice":
            for _ in range(2):
                await turn.call("memory_append", heading="Plan", text="ship it", why="as the user said")

    async with Team(paths, temporal, script) as team:
        await rested(team)
        with open_memory(paths, team.project, "alice") as memory:
            revision = memory.history()[-1]
        change = revision.change
        assert (change.author, change.heading, change.why, change.turn) == ("agent", "Plan", "as the user said", 1)
        assert change.run == (await team.until(lambda board: bool(board.run))).run
        assert memory_path(team, "alice").read_text() == "# Memory of alice\n\n## Plan\n\nship it\n"
        assert [fact.revision for fact in team.facts(MemoryWritten)] == [revision.number]


async def test_a_dispute_comes_to_the_user_and_the_answer_to_the_agent(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, quiet) as team:
        await rested(team)
        path = memory_path(team, "alice")
        path.write_text("## Plan\n\nship it on Monday\n")
        async with door_of(team, "alice") as alice:
            await alice.call_tool("memory_replace", {"heading": "Plan", "text": "ship it on Tuesday"})
            path.write_text("## Plan\n\nship it on Friday\n")
            answer = told(await alice.call_tool("memory_append", {"heading": "Notes", "text": "goes on"}))
            assert "the user is asked (i-" in answer
            again = told(await alice.call_tool("memory_read", {}))
            assert "the user is asked" not in again
        assert all(line in again for line in ("ship it on Friday", "ship it on Tuesday", "goes on"))
        board = await team.until(lambda board: bool(board.open_interrupts))
        (asked,) = board.open_interrupts
        assert (asked.agent, asked.blocking, asked.default) == ("alice", False, KEEP_BOTH)
        assert "> ship it on Friday" in asked.body
        assert "> ship it on Tuesday" in asked.body
        await team.control.answer(team.fleet, asked.id, Answer(option=KEEP_THE_USERS))
        assert KEEP_THE_USERS in await prompt_of(team, 2)


async def test_a_large_memory_goes_into_the_prompt_as_a_digest(paths: Paths, temporal: Client) -> None:
    filler = "\n".join(f"- decision {number} is of the past" for number in range(1500))
    text = f"# Memory of alice\n\n## Past\n\n{filler}\n\n## Begin\n\nHow to begin the task.\n"

    async with Team(paths, temporal, quiet) as team:
        memory_path(team, "alice").parent.mkdir(parents=True)
        memory_path(team, "alice").write_text(text)
        await rested(team)
        first = await prompt_of(team, 1)
        assert "How to begin the task." in first
        assert "(the first " in first
        assert "- Past (1500 lines)" in first
        assert len(first) < DIGEST_TOKENS * CHARACTERS_PER_TOKEN + 500
        async with door_of(team, "alice") as alice:
            noted = told(await alice.call_tool("memory_append", {"heading": "Begin", "text": "x"}))
            assert "Condense what is done with memory_replace" in noted
            section = told(await alice.call_tool("memory_read", {"heading": "Past", "start_line": 1402}))
            assert section.splitlines()[0] == "- decision 1399 is of the past"
            nothing = await alice.call_tool("memory_read", {"heading": "Nowhere"})
            assert nothing.is_error
            assert "- Past (1500 lines)" in told(nothing)
            await alice.call_tool("memory_replace", {"heading": "Begin", "text": "How to begin the task."})
        await team.control.reset_agent(team.fleet, "alice")
        again = await prompt_of(team, 2)
        assert "How to begin the task." in again
        await team.control.reset_agent(team.fleet, "alice")
        assert await prompt_of(team, 3) == again


async def test_a_file_that_cannot_be_used_stops_nobody(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, quiet, replay=False) as team:
        path = memory_path(team, "alice")
        path.mkdir(parents=True)
        await rested(team)
        first = await prompt_of(team, 1)
        assert "memory.md is a folder" in first
        async with door_of(team, "alice") as alice:
            refused = await alice.call_tool("memory_append", {"text": "x"})
            assert refused.is_error
            assert "the user has to put a plain file" in told(refused)
            path.rmdir()
            assert not (await alice.call_tool("memory_append", {"text": "x"})).is_error


async def test_the_users_restore_and_the_agents_notes_at_the_same_time(paths: Paths, temporal: Client) -> None:
    async with Team(paths, temporal, quiet, replay=False) as team:
        await rested(team)

        def restore() -> None:
            with open_memory(paths, team.project, "alice") as memory:
                for _ in range(5):
                    memory.restore(1)

        async with door_of(team, "alice") as alice:
            restoring = asyncio.create_task(asyncio.to_thread(restore))
            for number in range(10):
                noted = await alice.call_tool("memory_append", {"text": f"note number {number}"})
                assert not noted.is_error
            await restoring
        with open_memory(paths, team.project, "alice") as memory:
            history = memory.history()
            notes = [item for item in history if item.change.author == "agent"]
            assert len(notes) == 10, "each is in the history, whatever was restored after it"
            for number, item in enumerate(notes):
                assert f"note number {number}\n" in memory.read(item.number).decode()
