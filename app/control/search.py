"""Search over everything the user has: memories, messages, transcripts, questions; with or without an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.config import Paths, Project
from app.domain.errors import NotFound
from app.domain.search import Found, Kind, Query
from app.engine.indexing import known_projects, memory_sources
from app.store.journal import JournalReader
from app.store.search_index import SearchIndex, Source

__all__ = ["Found", "Kind", "Query", "Search", "open_search"]


class Search:
    """The index of everything, right at every call. Its methods raise ActionRefused or JournalError."""

    def __init__(self, index: SearchIndex, journal: JournalReader, projects: Sequence[Project]) -> None:
        self._index = index
        self._journal = journal
        self._projects = projects

    @property
    def roots(self) -> dict[str, Path]:
        """Folders of the projects, by fleet."""
        return {project.fleet_id: project.root for project in self._projects}

    def agents(self, name: str, fleet: str = "") -> frozenset[tuple[str, str]]:
        """The agents of that name. Raises NotFound for none."""
        named = {
            (project.fleet_id, agent.id)
            for project in self._projects
            for agent in project.fleet.agents
            if agent.id == name and fleet in ("", project.fleet_id)
        }
        if not named:
            known = sorted({agent.id for project in self._projects for agent in project.fleet.agents})
            hint = f"known are {', '.join(known)}" if known else "name the project with -p"
            raise NotFound(f"there is no agent {name!r}", operation="search", hint=hint)
        return frozenset(named)

    def find(self, query: Query) -> Found:
        """What holds the query's terms, the best first."""
        return self._index.search(query, self._sources(), self._journal)

    def reindex(self) -> int:
        """Make the index anew; returns how many pieces it has."""
        return self._index.rebuild(self._sources(), self._journal)

    def _sources(self) -> list[Source]:
        return memory_sources(self._projects)


@contextmanager
def open_search(paths: Paths, *projects: Project) -> Iterator[Search]:
    """Search in all fleets that ever ran and still have their project, and in ``projects``."""
    paths.prepare()
    index, journal = SearchIndex(paths.search_db), JournalReader(paths.journal_db)
    try:
        known = {project.fleet_id: project for project in (*known_projects(journal), *projects)}
        yield Search(index, journal, list(known.values()))
    finally:
        journal.close()
        index.close()
