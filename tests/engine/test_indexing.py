"""The engine keeps the search index behind files and journal; nobody needs to search for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.config import Paths, load_project
from app.domain import events as ev
from app.domain.search import Query, parse_terms
from app.engine.indexing import indexing
from app.store.journal import Journal
from app.store.search_index import SearchIndex
from tests.conftest import WriteProject
from tests.ui.story import Story

PROJECT = "project: {name: animals}\nagents:\n  - {id: alice, type: codex}\n  - {id: bob, type: codex}\n"


@pytest.fixture
def folder(write_project: WriteProject) -> Path:
    """A project whose agents have a memory each; it has not run yet."""
    place = write_project(PROJECT)
    for agent in ("alice", "bob"):
        (place / "agents" / agent).mkdir(parents=True)
        (place / "agents" / agent / "memory.md").write_text(f"# Memory of {agent}\n")
    return place


@asynccontextmanager
async def followed(paths: Paths) -> AsyncIterator[SearchIndex]:
    index = SearchIndex(paths.search_db)
    try:
        async with indexing(index, paths):
            yield index
    finally:
        index.close()


async def until_found(index: SearchIndex, words: str, agent: str = "") -> None:
    """Searches take in nothing themselves when they are given neither files nor journal."""
    end = time.monotonic() + 30
    while True:
        hits = (await asyncio.to_thread(index.search, Query(parse_terms(words)))).hits
        if any(agent in ("", hit.agent) for hit in hits):
            return
        assert time.monotonic() < end, f"{words!r} is not in the index"
        await asyncio.sleep(0.05)


def begin(paths: Paths, place: Path) -> Story:
    story = Story(Journal(paths.journal_db), load_project(place).fleet_id)
    agents = [{"id": name, "type": "codex"} for name in ("alice", "bob")]
    story.tell(ev.RunStarted, project="animals", root=str(place), agents=agents)
    return story


async def test_files_are_taken_in_as_they_change(paths: Paths, folder: Path) -> None:
    story = begin(paths, folder)
    async with followed(paths) as index:
        await until_found(index, "memory of alice", "alice")
        file = folder / "agents" / "bob" / "memory.md"
        with file.open("a") as stream:
            stream.write("\na walrus\n")
        await until_found(index, "walrus", "bob")
        new = file.with_name("saved-elsewhere")
        new.write_text("# Memory of bob\n\na seal\n")
        new.rename(file)
        await until_found(index, "seal", "bob")
        assert not index.search(Query(parse_terms("walrus"))).hits
    story.journal.close()


async def test_a_project_that_runs_for_the_first_time_is_followed_too(paths: Paths, folder: Path) -> None:
    async with followed(paths) as index:
        assert not index.search(Query(parse_terms("memory"))).hits
        story = begin(paths, folder)
        story.say("bob", 1, "I saw an otter.")
        await until_found(index, "otter", "bob")
        await until_found(index, "memory", "alice")
        story.journal.close()


async def test_a_project_that_cannot_be_read_does_not_stop_the_others(
    paths: Paths, folder: Path, tmp_path: Path
) -> None:
    story = begin(paths, folder)
    gone = Story(story.journal, "gone", "run-of-gone")
    gone.start()
    gone.say("dev-agent", 1, "I saw a narwhal.")
    (folder / "agents" / "alice" / "memory.md").unlink()
    (folder / "agents" / "alice" / "memory.md").mkdir()
    async with followed(paths) as index:
        await until_found(index, "memory", "bob")
        await until_found(index, "narwhal")
    story.journal.close()


async def test_an_index_that_is_taken_away_is_there_again(paths: Paths, folder: Path) -> None:
    story = begin(paths, folder)
    async with followed(paths) as index:
        await until_found(index, "memory", "bob")
        paths.search_db.unlink()
        (folder / "agents" / "bob" / "memory.md").write_text("# Memory of bob\n\nkrill\n")
        await until_found(index, "krill", "bob")
        await until_found(index, "memory", "alice")
    story.journal.close()
