"""Keeps the search index close behind the files and the journal, so that whoever searches has little to wait for.

A search takes in by itself what is missing: this may be late, or fail, and nothing found would be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from watchfiles import awatch

from app.config import Paths, Project, load_project
from app.domain.errors import SkerryError
from app.store.journal import JournalReader
from app.store.search_index import SearchIndex, Source

log = logging.getLogger(__name__)

LOOK_MILLISECONDS = 5_000
"""How often the journal, and which projects there are, is looked at; a file's change is heard at once."""
FAILED_SECONDS = 60.0


@asynccontextmanager
async def indexing(index: SearchIndex, paths: Paths) -> AsyncIterator[None]:
    """Within: the index follows."""
    stop = asyncio.Event()
    task = asyncio.create_task(_follow(index, paths, stop))
    try:
        yield
    finally:
        stop.set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _follow(index: SearchIndex, paths: Paths, stop: asyncio.Event) -> None:
    journal = JournalReader(paths.journal_db)
    try:
        while not stop.is_set():
            try:
                await _watch(index, journal, stop)
            except (SkerryError, OSError):
                log.warning("the search index stands still for a while", exc_info=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), FAILED_SECONDS)
    finally:
        journal.close()


async def _watch(index: SearchIndex, journal: JournalReader, stop: asyncio.Event) -> None:
    """Until the projects change: then other folders are to be watched."""
    sources = await asyncio.to_thread(_sources, journal)
    await asyncio.to_thread(index.refresh, sources, journal)
    folders = sorted({source.path.parent for source in sources if source.path.parent.is_dir()})
    if not folders:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_MILLISECONDS / 1000)
        return
    changes = awatch(
        *folders, stop_event=stop, recursive=False, rust_timeout=LOOK_MILLISECONDS, yield_on_timeout=True, step=50
    )
    async for _ in changes:
        await asyncio.to_thread(index.refresh, sources, journal)
        if await asyncio.to_thread(_sources, journal) != sources:
            return


def known_projects(journal: JournalReader) -> Iterator[Project]:
    """The projects of all fleets that ever ran, as far as they can be read now."""
    for root in journal.roots():
        try:
            yield load_project(Path(root))
        except SkerryError as error:  # moved, or not valid now: what it had said is in the journal all the same
            log.info("the memories of %s are not searched: %s", root, error)


def memory_sources(projects: Iterable[Project]) -> list[Source]:
    """The memory files of all their agents."""
    return [
        Source(project.fleet_id, agent.id, project.memory_file(agent))
        for project in projects
        for agent in project.fleet.agents
    ]


def _sources(journal: JournalReader) -> list[Source]:
    return memory_sources(known_projects(journal))
